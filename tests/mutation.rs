use rand::prelude::*;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// Numbers that files are not expected to hold.
const NUMBERS: [&str; 20] = [
    "0",
    "-1",
    "1",
    "2",
    "255",
    "65536",
    "1000000",
    "16777216",
    "2147483648",
    "4294967295",
    "9223372036854775807",
    "18446744073709551615",
    "-9223372036854775808",
    "1e308",
    "-1e308",
    "1e999",
    "5e-324",
    "0.5",
    "NaN",
    "inf",
];
/// Pieces that mean something to some reader.
const PIECES: [&[u8]; 24] = [
    b"\"",
    b"'",
    b",",
    b";",
    b"\t",
    b"\n",
    b"\r\n",
    b"\r",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\0",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\xf0\x9f\x98\x80",
    b"\xed\xa0\x80",
    b"\x1f\x8b\x08",
    b"\xfd7zXZ\0",
    b"__label__",
    b"\\u",
    b"(.",
    b"PK\x01\x02",
];
/// Most bytes of an input.
const MOST_BYTES: usize = 1 << 18;
/// Most bytes that are changed as a tree of JSON: larger ones take too long to read and write.
const MOST_JSON: usize = 1 << 14;

/// Changes inputs at random, the same way for the same number.
pub struct Mutator {
    pub random: ChaCha8Rng,
}

impl Mutator {
    pub fn new(number: u64) -> Self {
        Mutator {
            random: ChaCha8Rng::seed_from_u64(number),
        }
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.random.random_range(0..end)
    }

    /// One of the seeds, changed a few times; rarely bytes that come from none.
    pub fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        if self.below(32) == 0 {
            let length = self.below(300);
            return (0..length).map(|_| self.random.random()).collect();
        }
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            self.change(&mut bytes, seeds);
            bytes.truncate(MOST_BYTES);
        }
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let (start, end) = self.range(bytes.len());
        match self.below(12) {
            0 => bytes.truncate(start),
            1 => drop(bytes.drain(start..end)),
            2 => {
                let part = bytes[start..end].to_vec();
                let times = 1 << self.below(6);
                bytes.splice(start..start, part.repeat(times));
            }
            3 => {
                let other = &seeds[self.below(seeds.len())];
                let (from, to) = self.range(other.len());
                bytes.splice(start..end, other[from..to].iter().copied());
            }
            4 => {
                let piece = PIECES[self.below(PIECES.len())];
                bytes.splice(start..start, piece.iter().copied());
            }
            5 | 6 => self.change_digits(bytes),
            7 => self.change_word(bytes, start),
            8..=10 => self.change_json(bytes),
            _ => {
                if let Some(byte) = bytes.get_mut(start) {
                    *byte ^= 1 << self.below(8);
                }
            }
        }
    }

    /// A part, which is short more often than not.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let start = self.below(length + 1);
        let most = if self.below(3) == 0 { length } else { 16 };
        (start, start + self.below(most.min(length - start) + 1))
    }

    /// Writes another number in the place of one.
    fn change_digits(&mut self, bytes: &mut Vec<u8>) {
        let first = self.below(bytes.len() + 1);
        let is_digit = |byte: &u8| byte.is_ascii_digit();
        if let Some(start) = bytes[first..].iter().position(is_digit) {
            let start = first + start;
            let length = bytes[start..]
                .iter()
                .take_while(|byte| is_digit(byte))
                .count();
            let number = NUMBERS[self.below(NUMBERS.len())];
            bytes.splice(start..start + length, number.bytes());
        }
    }

    /// Overwrites binary numbers of 1, 2, 4 or 8 bytes.
    fn change_word(&mut self, bytes: &mut [u8], start: usize) {
        let words = [
            0,
            1,
            u64::MAX,
            1 << 31,
            1 << 63,
            i64::MAX as u64,
            0x7fc0_0000,
            0x7f80_0000,
        ];
        let word = words[self.below(words.len())].to_le_bytes();
        let length = 1 << self.below(4);
        let places = bytes.iter_mut().skip(start).take(length);
        places.zip(word).for_each(|(place, byte)| *place = byte);
    }

    /// Changes a value of JSON: the whole, one of its lines, or the part before binary data.
    fn change_json(&mut self, bytes: &mut Vec<u8>) {
        if bytes.len() > MOST_JSON {
            return self.change_digits(bytes);
        }
        if let Ok(json) = serde_json::from_slice::<Value>(bytes) {
            *bytes = self.changed(json).to_string().into_bytes();
            return;
        }
        // The header of a safetensors file, after its length.
        if let Some((size, rest)) = bytes.split_first_chunk::<8>()
            && let Some(header) = rest.get(..u64::from_le_bytes(*size) as usize)
            && let Ok(json) = serde_json::from_slice::<Value>(header)
        {
            let changed = self.changed(json).to_string();
            let length = (changed.len() as u64).to_le_bytes();
            *bytes = [&length[..], changed.as_bytes(), &rest[header.len()..]].concat();
            return;
        }
        let mut lines: Vec<Vec<u8>> = bytes
            .split(|&byte| byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let which = self.below(lines.len());
        match serde_json::from_slice::<Value>(&lines[which]) {
            Ok(json) => lines[which] = self.changed(json).to_string().into_bytes(),
            Err(_) => {
                let other = self.below(lines.len());
                lines.swap(which, other);
            }
        }
        *bytes = lines.join(&b'\n');
    }

    /// A value of which one part is another.
    fn changed(&mut self, mut json: Value) -> Value {
        let mut pointers = Vec::new();
        list_pointers(&json, String::new(), &mut pointers);
        let place = pointers[self.below(pointers.len())].clone();
        let taken = pointers[self.below(pointers.len())].clone();
        let other = json.pointer(&taken).cloned().unwrap_or_default();
        let number = NUMBERS[self.below(NUMBERS.len())];
        let value = match self.below(10) {
            0 => Value::Null,
            1 => Value::Bool(true),
            2 => Value::String(String::new()),
            3 => Value::String("\u{1f600}é\n".repeat(1 + self.below(9))),
            4 => Value::Array(Vec::new()),
            5 => Value::Array(vec![other; 1 + self.below(40)]),
            6 | 7 => other,
            _ => serde_json::from_str(number).unwrap_or(Value::String(number.to_string())),
        };
        let parent = place
            .rsplit_once('/')
            .map(|(parent, key)| (parent, key.to_string()));
        match (self.below(4), parent) {
            (0, Some((parent, key))) => match json.pointer_mut(parent) {
                Some(Value::Object(map)) => drop(map.remove(&key)),
                Some(Value::Array(list)) => drop(list.pop()),
                _ => {}
            },
            _ => {
                if let Some(found) = json.pointer_mut(&place) {
                    *found = value;
                }
            }
        }
        json
    }
}

fn list_pointers(json: &Value, at: String, pointers: &mut Vec<String>) {
    match json {
        Value::Object(map) => map.iter().for_each(|(key, value)| {
            let key = key.replace('~', "~0").replace('/', "~1");
            list_pointers(value, format!("{at}/{key}"), pointers);
        }),
        Value::Array(list) => list.iter().enumerate().for_each(|(index, value)| {
            list_pointers(value, format!("{at}/{index}"), pointers);
        }),
        _ => {}
    }
    pointers.push(at);
}
