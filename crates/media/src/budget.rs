//! What all decoders together may take: memory, and cores.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{MediaConfig, MediaError};

/// Memory is counted in units of this many bytes.
const UNIT: u64 = 1 << 20;

/// A weighted semaphore over bytes and a plain one over decoders.
#[derive(Debug)]
pub struct Budget {
    units: u32,
    memory: Arc<Semaphore>,
    decoders: Arc<Semaphore>,
    /// Child processes, which do not hold up the decoders of pictures.
    children: Arc<Semaphore>,
    wait: Duration,
}

/// What a decoder holds while it works.
#[derive(Debug)]
pub struct Permit {
    _memory: OwnedSemaphorePermit,
    _decoder: OwnedSemaphorePermit,
}

impl Budget {
    /// The budget of a configuration: [`MediaConfig::decode_memory`], [`MediaConfig::decoders`].
    pub fn new(config: &MediaConfig) -> Self {
        let units = u32::try_from(config.decode_memory as u64 / UNIT).unwrap_or(u32::MAX).clamp(1, MOST);
        let cores = || std::thread::available_parallelism().map_or(2, usize::from);
        let several = |n: usize| Arc::new(Semaphore::new(if n == 0 { cores() } else { n.min(Semaphore::MAX_PERMITS) }));
        Self {
            units,
            memory: Arc::new(Semaphore::new(units as usize)),
            decoders: several(config.decoders),
            children: several(config.children),
            wait: config.decode_wait,
        }
    }

    /// Waits for `bytes` of memory and for a decoder; a picture that needs more than there is gets all, alone.
    ///
    /// # Errors
    /// [`MediaError::Busy`] after [`MediaConfig::decode_wait`].
    pub async fn wait(&self, bytes: u64) -> Result<Permit, MediaError> {
        let units = self.units(bytes);
        let both = async {
            let memory = Arc::clone(&self.memory).acquire_many_owned(units).await.ok()?;
            let decoder = Arc::clone(&self.decoders).acquire_owned().await.ok()?;
            Some(Permit { _memory: memory, _decoder: decoder })
        };
        tokio::time::timeout(self.wait, both).await.ok().flatten().ok_or(MediaError::Busy)
    }

    /// Waits for a turn at the child processes, which read clips and PDFs; their memory is waited for when it is known.
    ///
    /// # Errors
    /// [`MediaError::Busy`] after [`MediaConfig::decode_wait`].
    pub async fn wait_for_child(&self) -> Result<OwnedSemaphorePermit, MediaError> {
        let child = Arc::clone(&self.children).acquire_owned();
        tokio::time::timeout(self.wait, child).await.ok().and_then(Result::ok).ok_or(MediaError::Busy)
    }

    /// Waits for memory only.
    ///
    /// # Errors
    /// [`MediaError::Busy`] after [`MediaConfig::decode_wait`].
    pub async fn wait_for_memory(&self, bytes: u64) -> Result<OwnedSemaphorePermit, MediaError> {
        let memory = Arc::clone(&self.memory).acquire_many_owned(self.units(bytes));
        tokio::time::timeout(self.wait, memory).await.ok().and_then(Result::ok).ok_or(MediaError::Busy)
    }

    /// Bytes that are not taken.
    pub fn free(&self) -> u64 {
        self.memory.available_permits() as u64 * UNIT
    }

    fn units(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.units)
    }
}

/// 256 TiB in units: a semaphore has an end.
const MOST: u32 = 1 << 28;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beyond_the_budget_a_picture_waits_and_then_gives_up() {
        let config =
            MediaConfig { decode_memory: 4 << 20, decode_wait: Duration::from_millis(30), ..MediaConfig::default() };
        let budget = Budget::new(&config);
        let held = budget.wait(3 << 20).await.unwrap();
        assert_eq!(budget.wait(2 << 20).await.unwrap_err(), MediaError::Busy);
        assert_eq!(MediaError::Busy.status(), 429);
        drop(held);
        let all = budget.wait(1 << 40).await.unwrap();
        assert!(budget.wait(1).await.is_err());
        drop(all);
        assert!(budget.wait(1).await.is_ok());
    }
}
