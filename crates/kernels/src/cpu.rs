/*!
Instructions of the CPU at hand, and loops that are compiled once for each set of them.
*/

/// Number of partial sums in a vectorized loop: four registers of AVX2, or two of AVX-512.
pub(crate) const LANES: usize = 32;

/// A set of instructions that products are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instructions {
    /// Whatever the target has at least.
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Amx,
}

/// Compiles a loop once for each kind of CPU and chooses at run time. In the body, `FMA` says whether multiplying and
/// adding is one instruction.
macro_rules! for_each_cpu {
    ($(#[$meta:meta])* $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        $(#[$meta])*
        $visibility fn $name($($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn portable<const FMA: bool>($($argument: $type),*) $(-> $result)? $body
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,fma")]
                fn avx512($($argument: $type),*) $(-> $result)? { portable::<true>($($argument),*) }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($argument: $type),*) $(-> $result)? { portable::<true>($($argument),*) }
                if $crate::cpu::has_avx512() {
                    // SAFETY: the CPU has what the function was compiled for.
                    return unsafe { avx512($($argument),*) };
                }
                if $crate::cpu::has_avx2() {
                    // SAFETY: the CPU has what the function was compiled for.
                    return unsafe { avx2($($argument),*) };
                }
            }
            portable::<false>($($argument),*)
        }
    };
}
pub(crate) use for_each_cpu;

/// a · b + c.
#[inline(always)]
pub(crate) fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Whether the CPU has AVX2 and fused multiply-add.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Whether the CPU has AVX-512 and fused multiply-add.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(crate) fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma")
}

/// Whether the CPU has AMX and AVX-512, and the system lets this process use its tiles.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_amx() -> bool {
    use std::sync::OnceLock;
    static HAS_AMX: OnceLock<bool> = OnceLock::new();
    *HAS_AMX.get_or_init(|| has_amx_instructions() && has_avx512() && request_amx())
}

#[cfg(target_arch = "x86_64")]
fn has_amx_instructions() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    // Tiles, and their products of bfloat16 and of int8: Intel's manual, leaf 7.
    const FEATURES: u32 = 1 << 24 | 1 << 22 | 1 << 25;
    // SAFETY: every x86-64 has the instruction; Rust says so too since 1.94.
    #[allow(unused_unsafe)]
    let features = unsafe {
        match __cpuid(0).eax {
            7.. => __cpuid_count(7, 0).edx,
            _ => 0,
        }
    };
    features & FEATURES == FEATURES
}

/// Asks Linux to save the tiles of this process's threads, which it does only on request.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn request_amx() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: the call takes two numbers, and touches no memory of the process.
    unsafe {
        libc::syscall(
            libc::SYS_arch_prctl,
            ARCH_REQ_XCOMP_PERM,
            XFEATURE_XTILEDATA,
        ) == 0
    }
}

#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn request_amx() -> bool {
    false
}
