/*!
The state dict of a PyTorch module: tensors by their names, from a safetensors file or from what `torch.save` wrote.
*/

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::archive::{Archive, is_archive};
use super::pickle::{self, Element, Object, Objects, View};
use crate::error::{Error, Result};
use crate::files;

/// Where a state dict may be in a dictionary that was saved.
const NESTED: [&str; 3] = ["state_dict", "model_state_dict", "model"];
/// The pickle in an archive, and the folder of its storages.
const PICKLE: &str = "data.pkl";
const STORAGES: &str = "data/";

type Tensors<'a> = BTreeMap<String, View<'a>>;

/// A file, mapped into memory.
pub struct StateFile {
    map: Mmap,
    path: PathBuf,
}

/// Floating-point tensors by their names; others are no weights, and are left out.
pub struct StateDict<'a> {
    tensors: Tensors<'a>,
}

impl StateFile {
    /// Opens a file.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |e| Error::file("read", path, e);
        let file = File::open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(Error::new(format!(
                "{} is no file; give what torch.save or safetensors wrote",
                path.display()
            )));
        }
        Ok(StateFile {
            map: files::map_file(&file, path)?,
            path: path.to_path_buf(),
        })
    }

    /// The tensors in it. No code in the file is run.
    ///
    /// # Errors
    /// A file of another kind, or one that is damaged or names anything but tensors.
    pub fn state_dict(&self) -> Result<StateDict<'_>> {
        let tensors = match is_archive(&self.map) {
            true => of_archive(&self.map),
            false => of_safetensors(&self.map),
        };
        match tensors {
            Ok(mut tensors) => {
                tensors.retain(|_, view| !view.shape.contains(&0));
                Ok(StateDict { tensors })
            }
            Err(reason) => Err(Error::new(format!("{}: {reason}", self.path.display()))),
        }
    }
}

fn of_safetensors(bytes: &[u8]) -> std::result::Result<Tensors<'_>, String> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|e| {
        format!(
            "it is neither a whole safetensors file ({e}) nor a zip archive of torch.save; if an old torch.save wrote it, load it \
             and save it again with PyTorch 1.6 or newer"
        )
    })?;
    let views = tensors.tensors().into_iter();
    Ok(views
        .filter_map(|(name, tensor)| Some((name, view(&tensor)?)))
        .collect())
}

/// A tensor of a safetensors file; `None` if it is of integers.
fn view<'a>(tensor: &TensorView<'a>) -> Option<View<'a>> {
    let element = match tensor.dtype() {
        Dtype::F16 => Element::Half,
        Dtype::BF16 => Element::Bfloat16,
        Dtype::F32 => Element::Float,
        Dtype::F64 => Element::Double,
        _ => return None,
    };
    let shape = tensor.shape().to_vec();
    let strides = (1..=shape.len()).map(|after| shape[after..].iter().product());
    Some(View {
        element,
        offset: 0,
        strides: strides.collect(),
        shape,
        bytes: tensor.data(),
    })
}

fn of_archive(bytes: &[u8]) -> std::result::Result<Tensors<'_>, String> {
    let archive = Archive::new(bytes)?;
    let (name, pickled) = archive
        .find(PICKLE)
        .ok_or("it is a zip archive, but has no data.pkl, which torch.save writes")?;
    let folder = &name[..name.len() - PICKLE.len()];
    let (objects, whole) = pickle::read(pickled, &archive, &format!("{folder}{STORAGES}"))?;
    let items = tensors_of(&objects, whole).ok_or(
        "it holds no dictionary of tensors; save the state dict, with torch.save(model.state_dict(), FILE)",
    )?;
    let mut tensors = BTreeMap::new();
    for &(key, value) in items {
        let (Object::Text(key), Object::Tensor(view)) = (objects.get(key), objects.get(value))
        else {
            continue;
        };
        if !matches!(view.element, Element::Integer(_)) {
            tensors.insert(key.to_string(), View::clone(view));
        }
    }
    Ok(tensors)
}

/// The dictionary that holds tensors: the whole, or one in it.
fn tensors_of<'o>(
    objects: &'o Objects<'_>,
    whole: pickle::Id,
) -> Option<&'o [(pickle::Id, pickle::Id)]> {
    let Object::Dict(outer) = objects.get(whole) else {
        return None;
    };
    let holds_tensors = |items: &[(pickle::Id, pickle::Id)]| {
        (items.iter()).any(|&(_, value)| matches!(objects.get(value), Object::Tensor(_)))
    };
    if holds_tensors(outer) {
        return Some(outer);
    }
    NESTED.iter().find_map(|&name| {
        let is_named = |&&(key, _): &&(usize, usize)| matches!(objects.get(key), &Object::Text(key) if key == name);
        let &(_, value) = outer.iter().find(is_named)?;
        match objects.get(value) {
            Object::Dict(inner) if holds_tensors(inner) => Some(&inner[..]),
            _ => None,
        }
    })
}

impl<'a> StateDict<'a> {
    /// Names of the tensors, sorted, with their shapes.
    pub fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.tensors
            .iter()
            .map(|(name, view)| (&name[..], &view.shape[..]))
    }

    /// Shape of a tensor.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|view| &view.shape[..])
    }

    /// Numbers of a tensor, row by row.
    ///
    /// # Errors
    /// A number that is not finite.
    ///
    /// # Panics
    /// If there is no such tensor.
    pub fn floats(&self, name: &str) -> Result<Vec<f32>> {
        let floats = self.tensors[name].floats();
        match floats.iter().all(|value| value.is_finite()) {
            true => Ok(floats),
            false => Err(Error::new(format!(
                "the tensor {name} has a value that is not a finite number; the training that wrote it diverged"
            ))),
        }
    }

    /// Whether two tensors hold the same numbers.
    ///
    /// # Panics
    /// If there is no such tensor.
    pub fn equal(&self, one: &str, other: &str) -> bool {
        let (one, other) = (&self.tensors[one], &self.tensors[other]);
        one.shape == other.shape && one.floats() == other.floats()
    }
}

impl View<'_> {
    /// The numbers, in the order of the shape.
    fn floats(&self) -> Vec<f32> {
        let mut floats = Vec::with_capacity(self.shape.iter().product());
        self.collect(0, self.offset, &mut floats);
        floats
    }

    /// Appends the numbers of a part: the first of it is `at`, and its dimensions are those from `dimension` on.
    fn collect(&self, dimension: usize, at: usize, floats: &mut Vec<f32>) {
        match self.shape.get(dimension) {
            None => floats.push(self.number(at)),
            Some(&size) => {
                let starts = (0..size).map(|index| at + index * self.strides[dimension]);
                starts.for_each(|start| self.collect(dimension + 1, start, floats));
            }
        }
    }

    fn number(&self, at: usize) -> f32 {
        let size = self.element.size();
        let bytes = &self.bytes[at * size..][..size];
        match self.element {
            Element::Half => half::f16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
            Element::Bfloat16 => half::bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32(),
            Element::Float => f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            Element::Double => {
                let bytes = bytes.try_into().expect("eight bytes");
                f64::from_le_bytes(bytes) as f32
            }
            Element::Integer(_) => unreachable!("integers are no weights"),
        }
    }
}
