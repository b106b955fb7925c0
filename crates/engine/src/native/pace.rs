//! How many prefill tokens fit between two tokens of those that wait for their next one.

use std::time::Duration;

use super::scheduler::Budget;

/// Never fewer, so that matrix products stay worth their weights' way through memory.
const LEAST: usize = 16;

/// Learns what a token costs.
#[derive(Debug)]
pub struct Pace {
    gap: Duration,
    most: usize,
    /// Seconds per token of steps that are mostly prefill, smoothed.
    cost: Option<f64>,
}

impl Pace {
    /// `gap` is the time a step beside decodes may take; `most` the tokens of any step.
    #[must_use]
    pub const fn new(gap: Duration, most: usize) -> Self {
        Self { gap, most, cost: None }
    }

    /// The next step's budget.
    #[must_use]
    pub fn budget(&self) -> Budget {
        let most = self.most.max(LEAST);
        let beside = match self.cost {
            Some(cost) if cost > 0.0 => (self.gap.as_secs_f64() / cost) as usize,
            _ => LEAST * 4,
        };
        Budget { alone: most, beside: beside.clamp(LEAST, most) }
    }

    /// A step of `tokens` took so long.
    pub fn measured(&mut self, tokens: usize, time: Duration) {
        // A few tokens cost the weights' way through memory, not arithmetic: they say nothing of a prefill.
        if tokens >= LEAST {
            let cost = time.as_secs_f64() / tokens as f64;
            self.cost = Some(self.cost.map_or(cost, |old| 0.7 * old + 0.3 * cost));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_follows_the_measured_cost() {
        let mut pace = Pace::new(Duration::from_millis(300), 512);
        assert_eq!(pace.budget().alone, 512);
        for _ in 0..50 {
            pace.measured(100, Duration::from_secs(1));
            pace.measured(1, Duration::from_secs(9));
        }
        assert_eq!(pace.budget().beside, 30);
        pace.measured(100, Duration::from_secs(1000));
        assert_eq!(pace.budget().beside, 16);
    }
}
