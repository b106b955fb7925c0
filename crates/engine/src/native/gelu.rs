//! GELU by the error function (torch's `nn.GELU()`), which the mergers use; everything else takes the tanh form.

/// `x * Phi(x)` in place.
pub fn gelu(x: &mut [f32]) {
    for v in x {
        *v = (0.5 * f64::from(*v) * (1.0 + erf(f64::from(*v) * std::f64::consts::FRAC_1_SQRT_2))) as f32;
    }
}

/// `c[0] + c[1] x + c[2] x^2 + ...`
fn polynomial(c: &[f64], x: f64) -> f64 {
    c.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

/// The error function by fdlibm's rational functions (`s_erf.c`), and beyond 2.857 by the continued fraction of its
/// complement.
#[allow(clippy::excessive_precision)]
fn erf(x: f64) -> f64 {
    const PP: [f64; 5] = [
        1.28379167095512558561e-01,
        -3.25042107247001499370e-01,
        -2.84817495755985104766e-02,
        -5.77027029648944159157e-03,
        -2.37630166566501626084e-05,
    ];
    const QQ: [f64; 6] = [
        1.0,
        3.97917223959155352819e-01,
        6.50222499887672944485e-02,
        5.08130628187576562776e-03,
        1.32494738004321644526e-04,
        -3.96022827877536812320e-06,
    ];
    const PA: [f64; 7] = [
        -2.36211856075265944077e-03,
        4.14856118683748331666e-01,
        -3.72207876035701323847e-01,
        3.18346619901161753674e-01,
        -1.10894694282396677476e-01,
        3.54783043256182359371e-02,
        -2.16637559486879084300e-03,
    ];
    const QA: [f64; 7] = [
        1.0,
        1.06420880400844228286e-01,
        5.40397917702171048937e-01,
        7.18286544141962662868e-02,
        1.26171219808761642112e-01,
        1.36370839120290507362e-02,
        1.19844998467991074170e-02,
    ];
    const RA: [f64; 8] = [
        -9.86494403484714822705e-03,
        -6.93858572707181764372e-01,
        -1.05586262253232909814e+01,
        -6.23753324503260060396e+01,
        -1.62396669462573470355e+02,
        -1.84605092906711035994e+02,
        -8.12874355063065934246e+01,
        -9.81432934416914548592e+00,
    ];
    const SA: [f64; 9] = [
        1.0,
        1.96512716674392571292e+01,
        1.37657754143519042600e+02,
        4.34565877475229228821e+02,
        6.45387271733267880336e+02,
        4.29008140027567833386e+02,
        1.08635005541779435134e+02,
        6.57024977031928170135e+00,
        -6.04244152148580987438e-02,
    ];
    let a = x.abs();
    if a < 0.84375 {
        let z = x * x;
        return x + x * (polynomial(&PP, z) / polynomial(&QQ, z));
    }
    if a < 1.25 {
        let s = a - 1.0;
        return x.signum() * (8.45062911510467529297e-01 + polynomial(&PA, s) / polynomial(&QA, s));
    }
    if a > 5.9 {
        return x.signum();
    }
    let complement = if a < 1.0 / 0.35 {
        let s = 1.0 / (a * a);
        (-a * a - 0.5625 + polynomial(&RA, s) / polynomial(&SA, s)).exp() / a
    } else {
        // erfc(x) = exp(-x^2)/sqrt(pi) / (x + (1/2)/(x + 1/(x + (3/2)/(x + ...))))
        let fraction = (1..30).rev().fold(a, |f, n| a + f64::from(n) / 2.0 / f);
        (-a * a).exp() / fraction * (std::f64::consts::FRAC_2_SQRT_PI / 2.0)
    };
    x.signum() * (1.0 - complement)
}

#[cfg(test)]
mod tests {
    use super::erf;

    /// Values of a table (Abramowitz and Stegun 7.1).
    #[test]
    fn the_error_function_is_the_tables() {
        for (x, wanted) in [
            (0.0, 0.0),
            (0.1, 0.112_462_916),
            (0.5, 0.520_499_877_8),
            (0.84, 0.765_142_711_5),
            (1.0, 0.842_700_792_9),
            (1.24, 0.920_505_184_3),
            (1.26, 0.925_235_941_2),
            (1.9, 0.992_790_429_2),
            (2.0, 0.995_322_265_0),
            (2.1, 0.997_020_533_3),
            (2.85, 0.999_944_343_7),
            (2.86, 0.999_947_598_8),
            (3.0, 0.999_977_909_5),
        ] {
            assert!((erf(x) - wanted).abs() < 1e-9, "{x}: {}", erf(x));
            assert!((erf(-x) + wanted).abs() < 1e-9);
        }
    }
}
