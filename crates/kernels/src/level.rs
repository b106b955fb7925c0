//! Which instruction sets the kernels may use, found when the program runs.

/// The instruction sets a kernel is compiled for, from the plainest to the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Plain Rust over arrays of eight floats; what every other processor gets, aarch64 among them.
    Scalar,
    /// AVX2, FMA and F16C, 256 bits.
    Avx2,
    /// AVX-512 F, BW, VL and DQ, 512 bits.
    Avx512,
    /// The same with VNNI's four-way 8-bit dot product.
    Avx512Vnni,
}

impl Level {
    /// The widest level this processor has. `VLGATE_KERNELS=scalar|avx2|avx512|avx512vnni` asks for a lower one; a level
    /// the processor lacks, or an unknown name, is not obeyed.
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
        [Level::Scalar, Level::Avx2, Level::Avx512, Level::Avx512Vnni].into_iter().filter(|l| l.supported()).collect()
    }

    /// The name in logs and in `VLGATE_KERNELS`.
    pub fn name(self) -> &'static str {
        match self {
            Level::Scalar => "scalar",
            Level::Avx2 => "avx2",
            Level::Avx512 => "avx512",
            Level::Avx512Vnni => "avx512vnni",
        }
    }

    /// Rows in a microtile of floats: as many accumulators as there are registers for. A power of two.
    pub(crate) fn rows(self) -> usize {
        match self {
            Level::Scalar | Level::Avx2 => 4,
            Level::Avx512 | Level::Avx512Vnni => 8,
        }
    }

    /// The same for integers, where the products of AVX2 take two registers each.
    pub(crate) fn rows_int(self) -> usize {
        match self {
            Level::Scalar | Level::Avx2 | Level::Avx512 => 4,
            Level::Avx512Vnni => 8,
        }
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
        match self {
            Level::Scalar => true,
            Level::Avx2 => avx2,
            Level::Avx512 => avx512,
            Level::Avx512Vnni => avx512 && is_x86_feature_detected!("avx512vnni"),
        }
    }

    /// Whether this processor has it.
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    pub fn supported(self) -> bool {
        self == Level::Scalar
    }
}
