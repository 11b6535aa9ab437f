/*!
A tensor's numbers as a slice, so that kernels can work on them in place.
*/

use tch::{Device, Kind, Tensor};

/// The numbers of a contiguous float32 tensor on the CPU.
///
/// # Panics
/// If it is any other tensor.
pub fn floats(tensor: &Tensor) -> &[f32] {
    check(tensor);
    // SAFETY: the tensor is contiguous float32 in this process's memory, checked above, and outlives the slice.
    unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast(), tensor.numel()) }
}

/// The same, to be changed. No other tensor may share the storage while the slice lives: the callers own theirs.
pub fn floats_mut(tensor: &mut Tensor) -> &mut [f32] {
    check(tensor);
    // SAFETY: as above; and the tensor is borrowed alone.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel()) }
}

fn check(tensor: &Tensor) {
    assert!(
        tensor.device() == Device::Cpu
            && tensor.kind() == Kind::Float
            && tensor.is_contiguous()
            && tensor.numel() > 0,
        "only a contiguous float32 tensor on the CPU can be seen as a slice"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_sees_and_changes_what_the_tensor_holds() {
        let mut tensor = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0]).view([2, 2]);
        assert_eq!(
            floats(&tensor),
            Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap()
        );
        floats_mut(&mut tensor)[3] = 9.0;
        assert_eq!(tensor.double_value(&[1, 1]), 9.0);
    }
}
