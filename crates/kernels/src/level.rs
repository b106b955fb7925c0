//! Which instruction sets the kernels may use, found when the program runs.

/// The instruction sets a kernel is compiled for; those of one architecture from the plainest to the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Plain Rust over arrays of eight floats; what every other processor gets.
    Scalar,
    /// AVX2, FMA and F16C, 256 bits.
    Avx2,
    /// AVX-512 F, BW, VL and DQ, 512 bits.
    Avx512,
    /// The same with VNNI's four-way 8-bit dot product.
    Avx512Vnni,
    /// The same with dot products of two pairs of bf16 numbers.
    Avx512Bf16,
    /// NEON, 128 bits: every aarch64 processor.
    Neon,
    /// The same with `dotprod`: four-way dot products of signed bytes.
    NeonDot,
    /// The same with `i8mm`: of unsigned with signed bytes, and products of small matrices of them.
    NeonI8mm,
}

/// Every level there is, in the order of the type.
const ALL: [Level; 8] = [
    Level::Scalar,
    Level::Avx2,
    Level::Avx512,
    Level::Avx512Vnni,
    Level::Avx512Bf16,
    Level::Neon,
    Level::NeonDot,
    Level::NeonI8mm,
];

impl Level {
    /// The widest level this processor has. `VLGATE_KERNELS=scalar|avx2|avx512|avx512vnni|avx512bf16|neon|neondot|neoni8mm` asks for a
    /// lower one; a level the processor lacks, or an unknown name, is not obeyed.
    pub fn detect() -> Self {
        let supported = Self::all_supported();
        let best = supported.last().copied().unwrap_or(Level::Scalar);
        match std::env::var("VLGATE_KERNELS") {
            Ok(name) => supported.into_iter().find(|level| level.name() == name).unwrap_or(best),
            Err(_) => best,
        }
    }

    /// Every level this processor has, plainest first. Tests run each kernel at each of them.
    pub fn all_supported() -> Vec<Self> {
        ALL.into_iter().filter(|l| l.supported()).collect()
    }

    /// The name in logs and in `VLGATE_KERNELS`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
            Level::Avx512Vnni => "avx512vnni",
            Level::Avx512Bf16 => "avx512bf16",
            Level::Neon => "neon",
            Level::NeonDot => "neondot",
            Level::NeonI8mm => "neoni8mm",
        }
    }

    /// Rows in a microtile of floats: as many accumulators as there are registers for. A power of two.
    pub(crate) fn rows(self) -> usize {
        match self {
            Level::Scalar | Level::Avx2 | Level::Neon | Level::NeonDot | Level::NeonI8mm => 4,
            Level::Avx512 | Level::Avx512Vnni | Level::Avx512Bf16 => 8,
        }
    }

    /// The same for integers, where the products of AVX2 take two registers each.
    pub(crate) fn rows_int(self) -> usize {
        match self {
            Level::Avx512Vnni | Level::Avx512Bf16 => 8,
            _ => 4,
        }
    }

    /// Whether dot products of bf16 pairs are one instruction, so that [`KvKind::Bf16`](crate::KvKind::Bf16) is the fastest
    /// cache and not only a small one.
    pub fn has_bf16_dots(self) -> bool {
        self == Level::Avx512Bf16
    }

    /// Whether this processor has it.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    pub fn supported(self) -> bool {
        let avx2 =
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") && is_x86_feature_detected!("f16c");
        let avx512 = avx2
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq");
        let vnni = avx512 && is_x86_feature_detected!("avx512vnni");
        match self {
            Level::Scalar => true,
            Level::Avx2 => avx2,
            Level::Avx512 => avx512,
            Level::Avx512Vnni => vnni,
            Level::Avx512Bf16 => vnni && is_x86_feature_detected!("avx512bf16"),
            Level::Neon | Level::NeonDot | Level::NeonI8mm => false,
        }
    }

    /// Whether this processor has it.
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    pub fn supported(self) -> bool {
        use std::arch::is_aarch64_feature_detected;
        let neon = is_aarch64_feature_detected!("neon");
        let dot = neon && is_aarch64_feature_detected!("dotprod");
        match self {
            Level::Scalar => true,
            Level::Avx2 | Level::Avx512 | Level::Avx512Vnni | Level::Avx512Bf16 => false,
            Level::Neon => neon,
            Level::NeonDot => dot,
            Level::NeonI8mm => dot && is_aarch64_feature_detected!("i8mm"),
        }
    }

    /// Whether this processor has it.
    #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
    pub fn supported(self) -> bool {
        self == Level::Scalar
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests at every level test nothing where a level is not found: who knows the processor says what it has.
    #[test]
    fn the_levels_expected_are_found() {
        let found: Vec<_> = Level::all_supported().into_iter().map(Level::name).collect();
        assert_eq!(found.first(), Some(&"scalar"));
        assert!(found.contains(&"neon") || !cfg!(target_arch = "aarch64") || cfg!(miri));
        if let Ok(expected) = std::env::var("VLGATE_TEST_LEVELS") {
            assert_eq!(found.join(","), expected);
        }
    }

    #[test]
    fn every_level_has_its_own_name_and_place() {
        assert!(ALL.is_sorted());
        let mut names = ALL.map(Level::name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
