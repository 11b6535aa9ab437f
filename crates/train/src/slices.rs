/*!
Views of a CPU tensor's values as a slice, so that kernels can work on them in place.
*/

use tch::{Device, Kind, Tensor};

/// Values of a contiguous float32 tensor on the CPU.
///
/// # Panics
/// If the tensor is empty, not contiguous, of another type or on another device.
pub fn floats(tensor: &Tensor) -> &[f32] {
    check(tensor);
    // SAFETY: the tensor is contiguous float32 in this process's memory, checked above, and outlives the slice.
    unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast(), tensor.numel()) }
}

/// Mutable values of a contiguous float32 tensor on the CPU. The caller owns the tensor: no other tensor may share its storage
/// while the slice lives.
///
/// # Panics
/// As [`floats`].
pub fn floats_mut(tensor: &mut Tensor) -> &mut [f32] {
    check(tensor);
    // SAFETY: as above, and the tensor is borrowed mutably.
    unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel()) }
}

fn check(tensor: &Tensor) {
    assert!(
        tensor.device() == Device::Cpu
            && tensor.kind() == Kind::Float
            && tensor.is_contiguous()
            && tensor.numel() > 0,
        "only a contiguous float32 tensor on the CPU can be viewed as a slice"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_read_and_write_the_tensor() {
        let mut tensor = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0]).view([2, 2]);
        assert_eq!(
            floats(&tensor),
            Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap()
        );
        floats_mut(&mut tensor)[3] = 9.0;
        assert_eq!(tensor.double_value(&[1, 1]), 9.0);
    }
}
