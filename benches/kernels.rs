/*!
Parts of a step of a language model, one by one: `cargo bench`.

The products are those of a two-layer LSTM over a vocabulary of 65 tokens, with the first layer's input products in a table:
three matrices `[4 · hidden_size, hidden_size]` and one `[65, hidden_size]`.
*/

use carousel::inference::sampling::{Choice, Sampler, Sampling};
use carousel_kernels::recurrent::{Activation, Cell, LayerSpec};
use carousel_kernels::{Kernel, Layout, Matrix, Precision, Rows, ThreadPool};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

const PRECISIONS: [Precision; 3] = [Precision::Float32, Precision::Bfloat16, Precision::Int8];
const HIDDEN_SIZES: [usize; 3] = [128, 512, 1024];
const VOCAB_SIZE: usize = 65;

fn main() {
    divan::main();
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7919) as f32).sin()).collect()
}

/// All products of one step of `streams` streams. Items are streams.
fn products(bencher: Bencher, precision: Precision, hidden_size: usize, streams: usize) {
    // As many as the program uses.
    let threads = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(8));
    let (kernel, pool) = (Kernel::fastest(precision), ThreadPool::new(threads));
    let pack = |outer| {
        Matrix::pack(
            &numbers(outer * hidden_size),
            hidden_size,
            Layout::Plain,
            kernel,
            &pool,
        )
    };
    let mut matrices: Vec<Matrix> = (0..3).map(|_| pack(4 * hidden_size)).collect();
    matrices.push(pack(VOCAB_SIZE));
    let mut x = Rows::zeros(kernel, streams, hidden_size);
    (0..streams).for_each(|row| x.set(row, &numbers(hidden_size)));
    let mut sums = vec![0.0; 4 * hidden_size * streams];
    bencher.counter(ItemsCount::new(streams)).bench_local(|| {
        for matrix in &matrices {
            let sums = &mut sums[..matrix.panels() * matrix.width() * streams];
            matrix.add_products(&x, 0..streams, sums, &pool);
        }
    });
}

#[divan::bench(args = PRECISIONS, consts = HIDDEN_SIZES)]
fn products_of_1<const HIDDEN_SIZE: usize>(bencher: Bencher, precision: Precision) {
    products(bencher, precision, HIDDEN_SIZE, 1);
}

#[divan::bench(args = PRECISIONS, consts = HIDDEN_SIZES)]
fn products_of_64<const HIDDEN_SIZE: usize>(bencher: Bencher, precision: Precision) {
    products(bencher, precision, HIDDEN_SIZE, 64);
}

#[divan::bench]
fn gates_of_64_times_512(bencher: Bencher) {
    let lanes = 16;
    let sums = numbers(4 * 64 * 512);
    let (mut cell, mut hidden) = (numbers(64 * 512), numbers(64 * 512));
    let layer = LayerSpec {
        cell: Cell::Lstm,
        activation: Activation::Tanh,
        hidden_size: 512,
        lags: vec![1],
    };
    bencher
        .counter(ItemsCount::new(64usize))
        .bench_local(|| layer.step(black_box(&sums), &mut cell, &mut hidden, &[], lanes));
}

#[divan::bench(args = [VOCAB_SIZE, 10_000])]
fn sampling(bencher: Bencher, vocab_size: usize) {
    let choice = Choice::Random {
        top_k: None,
        top_p: None,
        min_p: None,
        temperature: 0.8,
    };
    choose(bencher, vocab_size, choice);
}

#[divan::bench(args = [VOCAB_SIZE, 10_000])]
fn sampling_with_all_cuts(bencher: Bencher, vocab_size: usize) {
    let choice = Choice::Random {
        top_k: Some(40),
        top_p: Some(0.95),
        min_p: Some(0.05),
        temperature: 0.8,
    };
    choose(bencher, vocab_size, choice);
}

fn choose(bencher: Bencher, vocab_size: usize, choice: Choice) {
    let sampling = Sampling {
        repetition: None,
        choice,
    };
    let mut sampler = Sampler::new(sampling, 1);
    let logits = numbers(vocab_size);
    let mut buffer = logits.clone();
    bencher.counter(ItemsCount::new(1usize)).bench_local(|| {
        buffer.copy_from_slice(&logits);
        sampler.choose(&mut buffer, |_| true)
    });
}
