//! Whether this CPU has what the binary was built for (`.cargo/config.toml`: x86-64-v3). Asked of the CPU itself:
//! `is_x86_feature_detected!` answers "yes" at compile time for features that the build enables.

/// What is missing, by name; empty when all is there.
#[cfg(all(target_arch = "x86_64", target_feature = "avx2"))]
#[must_use]
pub fn missing() -> Vec<&'static str> {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    let highest = __cpuid(0).eax;
    let one = __cpuid(1);
    let seven_b = if highest >= 7 { __cpuid_count(7, 0).ebx } else { 0 };
    let extended_c = if __cpuid(0x8000_0000).eax >= 0x8000_0001 { __cpuid(0x8000_0001).ecx } else { 0 };
    missing_in(one.ecx, seven_b, extended_c)
}

/// Other builds need nothing beyond their architecture's baseline.
#[cfg(not(all(target_arch = "x86_64", target_feature = "avx2")))]
#[must_use]
pub fn missing() -> Vec<&'static str> {
    Vec::new()
}

/// `one_c` is CPUID 1 ECX, `seven_b` CPUID 7 EBX, `extended_c` CPUID 0x80000001 ECX (Intel SDM volume 2, CPUID).
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
fn missing_in(one_c: u32, seven_b: u32, extended_c: u32) -> Vec<&'static str> {
    let needed = [
        (one_c, 12, "FMA"),
        (one_c, 22, "MOVBE"),
        (one_c, 27, "OSXSAVE"),
        (one_c, 28, "AVX"),
        (one_c, 29, "F16C"),
        (seven_b, 3, "BMI1"),
        (seven_b, 5, "AVX2"),
        (seven_b, 8, "BMI2"),
        (extended_c, 5, "LZCNT"),
    ];
    needed.iter().filter(|(word, bit, _)| word & (1 << bit) == 0).map(|(_, _, name)| *name).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_old_cpu_is_told_what_it_lacks() {
        assert_eq!(super::missing_in(!0, !0, !0), Vec::<&str>::new());
        assert_eq!(super::missing_in(!(1 << 28), !(1 << 5), !0), ["AVX", "AVX2"]);
        assert!(super::missing().is_empty(), "this machine runs the tests");
    }
}
