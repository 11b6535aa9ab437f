/*!
A reader of pickles that runs no code: the few instructions that a state dict needs, and the few names that it may call.

An object is made for an instruction, so that a pickle takes no more memory than a multiple of its own bytes.
*/

use std::collections::HashMap;

use super::archive::Archive;

/// Most dimensions of a tensor.
const MOST_DIMENSIONS: usize = 8;

/// Most bytes of a pickle: those of a state dict are a few hundred for a tensor, and an object takes more memory than its
/// instruction has bytes.
const MOST_BYTES: usize = 1 << 24;

/// Names that are known. A pickle that calls any other is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Global {
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `torch._utils._rebuild_tensor_v2`.
    Tensor,
    /// `torch._utils._rebuild_parameter`.
    Parameter,
    /// A class of storages, by what its elements are.
    Storage(Element),
}

/// What the elements of a storage are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// float16.
    Half,
    /// bfloat16.
    Bfloat16,
    /// float32.
    Float,
    /// float64.
    Double,
    /// Integers of so many bytes, which are no weights.
    Integer(usize),
}

impl Element {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Element::Half | Element::Bfloat16 => 2,
            Element::Float => 4,
            Element::Double => 8,
            Element::Integer(size) => size,
        }
    }
}

/// A tensor: where its numbers lie in the storage of a file.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// What they are.
    pub element: Element,
    /// The storage.
    pub bytes: &'a [u8],
    /// The element that is first.
    pub offset: usize,
    /// Its shape.
    pub shape: Vec<usize>,
    /// For each dimension, how many elements further the next one is.
    pub strides: Vec<usize>,
}

/// The number of an object among those of a pickle.
pub type Id = usize;

/// What a pickle describes.
#[derive(Debug)]
pub enum Object<'a> {
    /// Anything that is of no use here.
    Other,
    /// A whole number.
    Integer(i64),
    /// A text.
    Text(&'a str),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A list.
    List(Vec<Id>),
    /// A dictionary, in its order.
    Dict(Vec<(Id, Id)>),
    /// A name.
    Global(Global),
    /// Numbers of a file of the archive.
    Storage(Element, &'a [u8]),
    /// A tensor.
    Tensor(Box<View<'a>>),
}

/// The objects of a pickle.
pub struct Objects<'a> {
    all: Vec<Object<'a>>,
}

impl<'a> Objects<'a> {
    /// The object of a number.
    pub fn get(&self, id: Id) -> &Object<'a> {
        &self.all[id]
    }
}

/// Reads a pickle, whose storages are beside it in the archive under `storages`. Returns the objects, and which is the whole.
///
/// # Errors
/// An instruction or a name that is not known, with the name; what is truncated; storages that are not in the archive or are
/// smaller than is claimed.
pub fn read<'a>(
    bytes: &'a [u8],
    archive: &Archive<'a>,
    storages: &str,
) -> Result<(Objects<'a>, Id), String> {
    if bytes.len() > MOST_BYTES {
        return Err(format!(
            "its data.pkl has {} bytes, and that of a state dict is far smaller; save the state dict alone, with \
             torch.save(model.state_dict(), FILE)",
            bytes.len()
        ));
    }
    let mut machine = Machine {
        bytes,
        at: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        objects: Vec::new(),
        archive,
        storages,
    };
    loop {
        let instruction = machine.byte()?;
        if instruction == b'.' {
            let whole = machine.pop()?;
            let all = machine.objects;
            return Ok((Objects { all }, whole));
        }
        machine.step(instruction)?;
    }
}

/// The machine that a pickle is a program of.
struct Machine<'a, 'b> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Id>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    objects: Vec<Object<'a>>,
    archive: &'b Archive<'a>,
    storages: &'b str,
}

type Step = Result<(), String>;

impl<'a> Machine<'a, '_> {
    fn step(&mut self, instruction: u8) -> Step {
        match instruction {
            // Version, and the size of a frame.
            0x80 => self.take(1).map(drop),
            0x95 => self.take(8).map(drop),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(drop),
            // None, True, False, and a floating-point number.
            b'N' | 0x88 | 0x89 => self.push(Object::Other),
            b'G' => self.take(8).and_then(|_| self.push(Object::Other)),
            b'K' | b'M' | b'J' | 0x8a => self.integer(instruction),
            b'X' | 0x8c | 0x8d => self.text(instruction),
            b')' | 0x85 | 0x86 | 0x87 | b't' => self.tuple(instruction),
            b']' => self.push(Object::List(Vec::new())),
            b'}' => self.push(Object::Dict(Vec::new())),
            b'a' | b'e' => self.append(instruction),
            b's' | b'u' => self.set_items(instruction),
            b'q' | b'r' | 0x94 | b'h' | b'j' => self.memoize(instruction),
            b'c' | 0x93 => self.global(instruction),
            b'R' => self.call(),
            b'b' => self.build(),
            b'Q' => self.storage(),
            other => Err(format!(
                "its data.pkl has the instruction {other:#04x} at byte {}, which a state dict does not need; save the state dict \
                 alone, with torch.save(model.state_dict(), FILE)",
                self.at - 1
            )),
        }
    }

    fn integer(&mut self, instruction: u8) -> Step {
        let size = match instruction {
            b'K' => 1,
            b'M' => 2,
            b'J' => 4,
            _ => usize::from(self.byte()?),
        };
        let digits = self.take(size)?;
        if size > 8 {
            return self.push(Object::Other);
        }
        let value = (digits.iter().rev()).fold(0i64, |value, &byte| value << 8 | i64::from(byte));
        let is_signed = size == 4 || instruction == 0x8a;
        let unused = 64 - 8 * size as u32;
        self.push(Object::Integer(match is_signed && size > 0 {
            true => value << unused >> unused,
            false => value,
        }))
    }

    fn text(&mut self, instruction: u8) -> Step {
        let size = self.number(match instruction {
            0x8c => 1,
            b'X' => 4,
            _ => 8,
        })?;
        let text = self.take(usize::try_from(size).unwrap_or(usize::MAX))?;
        let text = std::str::from_utf8(text).map_err(|_| "a text in its data.pkl is not UTF-8")?;
        self.push(Object::Text(text))
    }

    fn tuple(&mut self, instruction: u8) -> Step {
        let items = match instruction {
            b't' => self.pop_mark()?,
            b')' => Vec::new(),
            few => self.pop_many(usize::from(few - 0x84))?,
        };
        self.push(Object::Tuple(items))
    }

    fn append(&mut self, instruction: u8) -> Step {
        let items = match instruction {
            b'a' => vec![self.pop()?],
            _ => self.pop_mark()?,
        };
        match self.top()? {
            Object::List(list) => {
                list.extend(items);
                Ok(())
            }
            _ => Err(malformed()),
        }
    }

    fn set_items(&mut self, instruction: u8) -> Step {
        let items = match instruction {
            b's' => self.pop_many(2)?,
            _ => self.pop_mark()?,
        };
        match self.top()? {
            Object::Dict(dict) if items.len() % 2 == 0 => {
                dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
                Ok(())
            }
            _ => Err(malformed()),
        }
    }

    fn memoize(&mut self, instruction: u8) -> Step {
        let key = match instruction {
            b'q' | b'h' => u32::from(self.byte()?),
            0x94 => self.memo.len() as u32,
            _ => self.number(4)? as u32,
        };
        if matches!(instruction, b'h' | b'j') {
            let id = *self.memo.get(&key).ok_or_else(malformed)?;
            self.stack.push(id);
        } else {
            let id = *self.stack.last().ok_or_else(malformed)?;
            self.memo.insert(key, id);
        }
        Ok(())
    }

    fn global(&mut self, instruction: u8) -> Step {
        let (module, name) = match instruction {
            b'c' => (self.line()?, self.line()?),
            _ => {
                let parts = self.pop_many(2)?;
                match (&self.objects[parts[0]], &self.objects[parts[1]]) {
                    (&Object::Text(module), &Object::Text(name)) => (module, name),
                    _ => return Err(malformed()),
                }
            }
        };
        let found = match (module, name) {
            ("collections", "OrderedDict") => Global::OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2") => Global::Tensor,
            ("torch._utils", "_rebuild_parameter") => Global::Parameter,
            ("torch", "HalfStorage") => Global::Storage(Element::Half),
            ("torch", "BFloat16Storage") => Global::Storage(Element::Bfloat16),
            ("torch", "FloatStorage") => Global::Storage(Element::Float),
            ("torch", "DoubleStorage") => Global::Storage(Element::Double),
            ("torch", "ByteStorage" | "CharStorage" | "BoolStorage") => {
                Global::Storage(Element::Integer(1))
            }
            ("torch", "ShortStorage") => Global::Storage(Element::Integer(2)),
            ("torch", "IntStorage") => Global::Storage(Element::Integer(4)),
            ("torch", "LongStorage") => Global::Storage(Element::Integer(8)),
            _ => {
                return Err(format!(
                    "its data.pkl would call {module}.{name}, which is refused, as it could run any code; only the tensors of a \
                     state dict are read: save it alone, with torch.save(model.state_dict(), FILE)"
                ));
            }
        };
        self.push(Object::Global(found))
    }

    /// Calls a name.
    fn call(&mut self) -> Step {
        let (arguments, called) = (self.pop()?, self.pop()?);
        let (Object::Global(global), Object::Tuple(arguments)) =
            (&self.objects[called], &self.objects[arguments])
        else {
            return Err(malformed());
        };
        match (global, &arguments[..]) {
            (Global::OrderedDict, []) => self.push(Object::Dict(Vec::new())),
            (Global::Parameter, &[tensor, ..]) => {
                self.stack.push(tensor);
                Ok(())
            }
            (Global::Tensor, &[storage, offset, shape, strides, ..]) => {
                let view = self.view(storage, offset, [shape, strides])?;
                self.push(Object::Tensor(Box::new(view)))
            }
            _ => Err(malformed()),
        }
    }

    /// A tensor in a storage, which must hold every number of it.
    fn view(&self, storage: Id, offset: Id, dimensions: [Id; 2]) -> Result<View<'a>, String> {
        let &Object::Storage(element, bytes) = &self.objects[storage] else {
            return Err(malformed());
        };
        let [shape, strides] = dimensions.map(|id| self.sizes(id));
        let (shape, strides, offset) = (shape?, strides?, self.size(offset)?);
        if shape.len() != strides.len() {
            return Err(malformed());
        }
        let numbers = bytes.len() / element.size();
        let count = (shape.iter()).try_fold(1usize, |count, &size| count.checked_mul(size));
        let steps = shape.iter().zip(&strides);
        let last = steps
            .into_iter()
            .try_fold(offset, |last, (&size, &stride)| {
                last.checked_add(size.saturating_sub(1).checked_mul(stride)?)
            });
        match (count, last) {
            (Some(0), _) => {}
            (Some(count), Some(last)) if count <= numbers && last < numbers => {}
            _ => {
                return Err(format!(
                    "a tensor of the shape {shape:?} is larger than its storage of {numbers} numbers"
                ));
            }
        }
        Ok(View {
            element,
            bytes,
            offset,
            shape,
            strides,
        })
    }

    fn size(&self, id: Id) -> Result<usize, String> {
        match self.objects[id] {
            Object::Integer(value) => usize::try_from(value).map_err(|_| malformed()),
            _ => Err(malformed()),
        }
    }

    fn sizes(&self, id: Id) -> Result<Vec<usize>, String> {
        match &self.objects[id] {
            Object::Tuple(items) if items.len() <= MOST_DIMENSIONS => {
                items.iter().map(|&item| self.size(item)).collect()
            }
            _ => Err(malformed()),
        }
    }

    /// Attributes, which an ordered dictionary alone has: versions of modules, of no use here.
    fn build(&mut self) -> Step {
        self.pop()?;
        match self.top()? {
            Object::Dict(_) => Ok(()),
            _ => Err(malformed()),
        }
    }

    /// The storage that a tuple names: `('storage', class, key, device, number of elements)`.
    fn storage(&mut self) -> Step {
        let id = self.pop()?;
        let Object::Tuple(parts) = &self.objects[id] else {
            return Err(malformed());
        };
        let &[kind, class, key, _, numbers] = &parts[..] else {
            return Err(malformed());
        };
        let (
            Object::Text("storage"),
            &Object::Global(Global::Storage(element)),
            &Object::Text(key),
        ) = (
            &self.objects[kind],
            &self.objects[class],
            &self.objects[key],
        )
        else {
            return Err(malformed());
        };
        let numbers = self.size(numbers)?;
        let name = format!("{}{key}", self.storages);
        let bytes = self.archive.entry(&name);
        let bytes =
            bytes.ok_or_else(|| format!("it has no entry {name}, which its data.pkl names"))?;
        let claimed = numbers.checked_mul(element.size());
        let Some(bytes) = claimed.and_then(|size| bytes.get(..size)) else {
            return Err(format!(
                "its data.pkl claims {numbers} numbers of {} bytes in the entry {name}, which has {} bytes",
                element.size(),
                bytes.len()
            ));
        };
        self.push(Object::Storage(element, bytes))
    }

    fn push(&mut self, object: Object<'a>) -> Step {
        self.stack.push(self.objects.len());
        self.objects.push(object);
        Ok(())
    }

    fn pop(&mut self) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len() > floor {
            true => self.stack.pop().ok_or_else(malformed),
            false => Err(malformed()),
        }
    }

    /// The last `count` objects.
    fn pop_many(&mut self, count: usize) -> Result<Vec<Id>, String> {
        let mut items = (0..count)
            .map(|_| self.pop())
            .collect::<Result<Vec<_>, _>>()?;
        items.reverse();
        Ok(items)
    }

    /// The objects since the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Id>, String> {
        let mark = self.marks.pop().ok_or_else(malformed)?;
        Ok(self.stack.split_off(mark))
    }

    fn top(&mut self) -> Result<&mut Object<'a>, String> {
        let id = *self.stack.last().ok_or_else(malformed)?;
        Ok(&mut self.objects[id])
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self, size: usize) -> Result<u64, String> {
        let digits = self.take(size)?.iter().rev();
        Ok(digits.fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }

    /// The next bytes.
    fn take(&mut self, size: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(size);
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let taken = taken.ok_or("its data.pkl ends too early; the file may be truncated")?;
        self.at += size;
        Ok(taken)
    }

    /// The text up to the next line end.
    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&byte| byte == b'\n');
        let line = self.take(length.ok_or_else(malformed)?)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| malformed())
    }
}

fn malformed() -> String {
    "its data.pkl is not that of a state dict; save the state dict alone, with torch.save(model.state_dict(), FILE)".to_string()
}
