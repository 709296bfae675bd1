// softmax_backward: 128 invocations, four columns each in a vec4f

struct Params {
  n_rows: u32,
  n_cols: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> dout: array<f32>;
@group(0) @binding(2) var<storage, read> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

const SIZE = 128u;
var<workgroup> partial: array<f32, SIZE>;

struct Fours {
  dout: vec4f,
  out: vec4f,
}

// Four columns of dout and of out from c on, zeros past the end of the row.
fn load(first: u32, c: u32) -> Fours {
  var fours = Fours();
  for (var i = 0u; i < min(4u, params.n_cols - c); i++) {
    fours.dout[i] = dout[first + c + i];
    fours.out[i] = out[first + c + i];
  }
  return fours;
}

@compute @workgroup_size(SIZE)
fn main(@builtin(workgroup_id) group_id: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group_id.x * params.n_cols;
  var sum = 0.0;
  for (var c = 4u * lane; c < params.n_cols; c += 4u * SIZE) {
    let fours = load(first, c);
    sum += dot(fours.dout, fours.out);
  }
  partial[lane] = sum;
  workgroupBarrier();
  for (var half = SIZE / 2u; half > 0u; half /= 2u) {
    if (lane < half) {
      partial[lane] = partial[lane] + partial[lane + half];
    }
    workgroupBarrier();
  }
  let total = workgroupUniformLoad(&partial[0]);
  for (var c = 4u * lane; c < params.n_cols; c += 4u * SIZE) {
    let fours = load(first, c);
    let four = fours.out * (fours.dout - vec4f(total));
    for (var i = 0u; i < min(4u, params.n_cols - c); i++) {
      dx[first + c + i] = four[i];
    }
  }
}
