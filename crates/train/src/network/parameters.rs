/*!
Tensors by name: parameters, and what an optimizer keeps of each.
*/

use tch::Tensor;

/// Tensors by name, in a fixed order.
#[derive(Debug)]
pub struct NamedTensors {
    entries: Vec<(String, Tensor)>,
}

impl NamedTensors {
    /// The tensor with this name.
    ///
    /// # Panics
    /// If there is none.
    pub fn get(&self, name: &str) -> &Tensor {
        self.find(name)
            .unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// The tensor with this name, mutable.
    ///
    /// # Panics
    /// If there is none.
    pub fn get_mut(&mut self, name: &str) -> &mut Tensor {
        let entry = self.entries.iter_mut().find(|(own, _)| own == name);
        entry
            .map(|(_, tensor)| tensor)
            .unwrap_or_else(|| panic!("no tensor {name}"))
    }

    /// The tensor with this name, if there is one.
    pub fn find(&self, name: &str) -> Option<&Tensor> {
        let entry = self.entries.iter().find(|(own, _)| own == name);
        entry.map(|(_, tensor)| tensor)
    }

    /// Names and tensors, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.entries
            .iter()
            .map(|(name, tensor)| (&name[..], tensor))
    }

    /// Names and mutable tensors, in order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Tensor)> {
        self.entries
            .iter_mut()
            .map(|(name, tensor)| (&name[..], tensor))
    }

    /// The tensors, in order.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.entries.iter().map(|(_, tensor)| tensor)
    }

    /// The result of `make` for each tensor, by the same names.
    pub fn map(&self, mut make: impl FnMut(&Tensor) -> Tensor) -> NamedTensors {
        self.iter()
            .map(|(name, tensor)| (name.to_string(), make(tensor)))
            .collect()
    }

    /// The tensors whose names are chosen; they share their values with these.
    pub fn only(&self, mut chosen: impl FnMut(&str) -> bool) -> NamedTensors {
        let some = self.iter().filter(|(name, _)| chosen(name));
        some.map(|(name, tensor)| (name.to_string(), tensor.shallow_clone()))
            .collect()
    }

    /// Replaces the values of all tensors by those of another set with the same names.
    pub fn assign(&mut self, values: &NamedTensors) {
        tch::no_grad(|| {
            for (name, tensor) in &mut self.entries {
                tensor.copy_(values.get(name));
            }
        });
    }
}

impl FromIterator<(String, Tensor)> for NamedTensors {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(entries: I) -> Self {
        NamedTensors {
            entries: entries.into_iter().collect(),
        }
    }
}
