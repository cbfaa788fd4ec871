//! Pseudorandom numbers.

/// A pseudorandom number generator (SplitMix64): the same seed gives the same numbers.
#[derive(Clone, Debug)]
pub struct Numbers(pub u64);

impl Numbers {
    /// Returns any number.
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns one of `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        let n = u64::try_from(n).expect("64 bits");
        usize::try_from(self.next() % n).expect("below a usize")
    }

    /// Returns true once in `n` times on average.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Returns one of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Returns a byte that is not zero, so that it is visible.
    pub fn byte(&mut self) -> u8 {
        u8::try_from(1 + self.below(255)).expect("a byte")
    }
}
