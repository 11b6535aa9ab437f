/*!
Kernels: a precision of numbers in products, and the instructions that multiply them.
*/

use crate::cpu::Instructions;
use crate::lanes::{self, Lanes};
use crate::layout::VECTORS;
use crate::rounding::{encode_bfloat16, encode_int8};
#[cfg(target_arch = "x86_64")]
use crate::{cpu, tiles};

/// A multiple of the rows that any kernel's vectors multiply together.
const VECTOR_ROWS: usize = 6;

/// Encoding of the numbers in a product. Sums are float32, or exact integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// float32.
    Float32,
    /// Weights and inputs rounded to bfloat16.
    Bfloat16,
    /// Weights rounded to 255 levels with a scale for each output, inputs with one for each row.
    Int8,
}

/// A precision, and instructions for its products that the CPU has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    precision: Precision,
    instructions: Instructions,
}

impl Kernel {
    /// The fastest kernel of a precision on this CPU.
    pub fn fastest(precision: Precision) -> Self {
        Self::all(precision)
            .next_back()
            .expect("the portable kernel")
    }

    /// All kernels of a precision on this CPU, slowest first.
    pub(crate) fn all(precision: Precision) -> impl DoubleEndedIterator<Item = Self> {
        let mut all = vec![Instructions::Portable];
        #[cfg(target_arch = "x86_64")]
        if cpu::has_avx2() {
            all.push(Instructions::Avx2);
            let has_products = match precision {
                Precision::Float32 => true,
                Precision::Bfloat16 => is_x86_feature_detected!("avx512bf16"),
                Precision::Int8 => is_x86_feature_detected!("avx512vnni"),
            };
            if cpu::has_avx512() && has_products {
                all.push(Instructions::Avx512);
                if precision != Precision::Float32 && cpu::has_amx() {
                    all.push(Instructions::Amx);
                }
            }
        }
        all.into_iter().map(move |instructions| Kernel {
            precision,
            instructions,
        })
    }

    /// Whether this CPU has an instruction for bfloat16 products.
    pub fn bfloat16_is_native() -> bool {
        #[cfg(target_arch = "x86_64")]
        return Self::fastest(Precision::Bfloat16).has_512_bits();
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Whether this CPU has an instruction for int8 products, which makes them the fastest.
    pub fn int8_is_native() -> bool {
        Self::fastest(Precision::Int8).instructions != Instructions::Portable
    }

    /// The precision.
    pub fn precision(self) -> Precision {
        self.precision
    }

    /// Name of the instructions, in lower case.
    pub fn instructions(self) -> String {
        format!("{:?}", self.instructions).to_lowercase()
    }

    /// The instructions.
    pub(crate) fn instruction_set(self) -> Instructions {
        self.instructions
    }

    /// Number of outputs in a vector.
    pub fn lanes(self) -> usize {
        match self.instructions {
            Instructions::Portable => lanes::portable::Float32::LANES,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => lanes::avx2::Float32::LANES,
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => lanes::avx512::Float32::LANES,
            #[cfg(target_arch = "x86_64")]
            Instructions::Amx => tiles::TILE,
        }
    }

    /// Number of outputs in a panel.
    pub fn width(self) -> usize {
        VECTORS * self.lanes()
    }

    /// Number of rows that are worth multiplying before the next: several of the groups that are multiplied together.
    pub(crate) fn rows_per_block(self) -> usize {
        match self.instructions {
            #[cfg(target_arch = "x86_64")]
            Instructions::Amx => tiles::ROWS,
            _ => 4 * VECTOR_ROWS,
        }
    }

    /// Number of rows that are multiplied together: where rows are divided between threads, at multiples of it.
    pub(crate) fn rows_per_group(self) -> usize {
        match self.instructions {
            #[cfg(target_arch = "x86_64")]
            Instructions::Amx => tiles::TILE,
            _ => VECTOR_ROWS,
        }
    }

    /// Number of values of the inner dimension in a word.
    pub(crate) fn values_per_word(self) -> usize {
        match self.precision {
            Precision::Float32 => 1,
            Precision::Bfloat16 => 2,
            Precision::Int8 => 4,
        }
    }

    /// Number of words in a row of `values`, padded with zeros to a whole multiplication.
    pub(crate) fn words_per_row(self, values: usize) -> usize {
        let words = values.div_ceil(self.values_per_word());
        match self.instructions {
            #[cfg(target_arch = "x86_64")]
            Instructions::Amx => words.next_multiple_of(tiles::TILE),
            _ => words,
        }
    }

    /// Encodes a row of inputs, and returns its scale: the value of one step of its integers, in int8. Padding words are
    /// left as they are.
    pub(crate) fn encode_inputs(self, values: &[f32], words: &mut [u32]) -> f32 {
        self.encode(values, self.input_offset(), words)
    }

    /// As [`Kernel::encode_inputs`], for a row of weights, whose bytes are signed whatever those of the inputs are.
    pub(crate) fn encode_weights(self, values: &[f32], words: &mut [u32]) -> f32 {
        self.encode(values, 0, words)
    }

    fn encode(self, values: &[f32], offset: u8, words: &mut [u32]) -> f32 {
        let words = &mut words[..values.len().div_ceil(self.values_per_word())];
        match self.precision {
            Precision::Float32 => {
                for (word, value) in words.iter_mut().zip(values) {
                    *word = value.to_bits();
                }
                0.0
            }
            Precision::Bfloat16 => {
                encode_bfloat16(values, words);
                0.0
            }
            Precision::Int8 => encode_int8(values, offset, words),
        }
    }

    /// What is added to each byte of an input, for instructions that take unsigned bytes.
    pub(crate) fn input_offset(self) -> u8 {
        #[cfg(target_arch = "x86_64")]
        if self.precision == Precision::Int8 && self.has_512_bits() {
            return 128;
        }
        0
    }

    #[cfg(target_arch = "x86_64")]
    fn has_512_bits(self) -> bool {
        matches!(self.instructions, Instructions::Avx512 | Instructions::Amx)
    }
}
