//! The logits processor that chooses each token itself and sends it straight to the job.

use std::sync::{Mutex, PoisonError};

use mistralrs::{CustomLogitsProcessor, Device, Tensor};
use tokio::sync::mpsc::UnboundedSender;

use crate::{runtime::Step, sampler::Sampler};

/// Sees the raw logits at every step, picks a token, and returns logits that leave only that one possible.
pub struct Chooser<F> {
    sampler: Mutex<Sampler>,
    steps: UnboundedSender<Step>,
    /// Forced when nobody listens any more, so that the sequence ends within one step.
    eos: u32,
    on_token: F,
}

impl<F: Fn() + Send + Sync> Chooser<F> {
    pub const fn new(sampler: Sampler, steps: UnboundedSender<Step>, eos: u32, on_token: F) -> Self {
        Self { sampler: Mutex::new(sampler), steps, eos, on_token }
    }
}

impl<F: Fn() + Send + Sync> CustomLogitsProcessor for Chooser<F> {
    fn apply(&self, logits: &Tensor, _context: &[u32]) -> mistralrs::Result<Tensor> {
        let mut values: Vec<f32> = logits.flatten_all()?.to_dtype(mistralrs::DType::F32)?.to_vec1()?;
        let sampled = if self.steps.is_closed() {
            None
        } else {
            self.sampler.lock().unwrap_or_else(PoisonError::into_inner).choose(&mut values)
        };
        let id = match sampled {
            Some(sampled) => {
                let id = sampled.id;
                (self.on_token)();
                if self.steps.send(Step::Token(sampled)).is_err() { self.eos } else { id }
            }
            None => self.eos,
        };
        values.fill(f32::NEG_INFINITY);
        if let Some(v) = values.get_mut(id as usize) {
            *v = 0.0;
        }
        Tensor::from_vec(values, logits.shape(), &Device::Cpu)?.to_device(logits.device())
    }
}
