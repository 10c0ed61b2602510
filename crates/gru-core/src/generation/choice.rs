//! From logits to the next character: repetition penalty, temperature, top-k, top-p, in this order.
//!
//! Everything works on logits, so that no temperature can overflow or divide by zero, and uses nothing but operations
//! that IEEE 754 defines to the last bit, one after the other: equal logits give the same character on every machine.

use crate::backend::Error;
use crate::random::Random;

/// How the next character is chosen. Ties go to the lowest id.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest character; 1 samples as learnt.
    pub temperature: f64,
    /// Choose among this many likeliest characters only; 0 means all.
    pub top_k: usize,
    /// Choose among the likeliest characters that together reach this probability; 1 means all.
    pub top_p: f64,
    /// Recent characters get their logit divided by this if positive, else multiplied; 1 means no penalty.
    pub repetition_penalty: f64,
}

impl Sampling {
    /// The likeliest character, always.
    pub const GREEDY: Self = Self { temperature: 0.0, top_k: 0, top_p: 1.0, repetition_penalty: 1.0 };

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::Value`].
    pub fn check(&self) -> Result<(), Error> {
        let Self { temperature, top_p, repetition_penalty, .. } = *self;
        let penalty_fits = repetition_penalty > 0.0 && repetition_penalty.is_finite();
        for (name, value, expected, holds) in [
            (
                "temperature",
                temperature,
                "a finite number of at least 0",
                temperature >= 0.0 && temperature.is_finite(),
            ),
            ("top_p", top_p, "a number above 0 and at most 1", top_p > 0.0 && top_p <= 1.0),
            ("repetition_penalty", repetition_penalty, "a finite number above 0", penalty_fits),
        ] {
            if !holds {
                let (expected, received) = (expected.into(), value.to_string());
                return Err(Error::Value { name, expected, received, index: 0 });
            }
        }
        Ok(())
    }
}

/// Likeliest characters that top-p looks at first; if they do not reach it, eight times as many.
const FIRST_LOOK: usize = 64;

/// Scores that are compared together.
const BLOCK: usize = 16;

/// Chooses characters, and keeps the memory for it.
pub struct Chooser {
    sampling: Sampling,
    /// Logits after the penalty, `[vocab_size]`.
    scores: Vec<f64>,
    /// The largest score of each block.
    maxima: Vec<f64>,
    /// The ids to choose from, as [`rank`]s.
    candidates: Vec<u128>,
    /// Their weights: probabilities but for a common factor.
    weights: Vec<f64>,
}

impl Chooser {
    /// One that chooses by these options, which were checked.
    pub fn new(sampling: Sampling) -> Self {
        Self { sampling, scores: vec![], maxima: vec![], candidates: vec![], weights: vec![] }
    }

    /// The next character.
    ///
    /// `recent` are the ids that the repetition penalty applies to, in two parts; they are below the number of
    /// logits, of which there is at least one. When greedy, nothing is drawn from `random`.
    pub fn choose(&mut self, logits: &[f32], recent: [&[u32]; 2], random: &mut Random) -> u32 {
        let Sampling { temperature, top_k, top_p, repetition_penalty } = self.sampling;
        if temperature == 0.0 && repetition_penalty == 1.0 {
            return vectorised(
                #[inline(always)]
                || likeliest(logits, f32::NEG_INFINITY),
            );
        }
        self.score(logits, recent);
        let all = self.scores.len();
        if temperature > 0.0 && top_k > 0 {
            self.take(top_k);
            self.weigh();
            if top_p < 1.0 {
                self.keep(top_p * sum(&self.weights));
            }
            return id_of(self.candidates[self.draw(random)]);
        }
        let best = vectorised(
            #[inline(always)]
            || likeliest(&self.scores, f64::NEG_INFINITY),
        );
        if temperature == 0.0 {
            return best;
        }
        self.weigh_all(self.scores[best as usize]);
        if top_p == 1.0 {
            return self.draw(random) as u32;
        }
        let total = top_p * sum(&self.weights);
        let mut looked = FIRST_LOOK;
        loop {
            self.take(looked);
            self.weigh();
            if self.keep(total) || looked >= all {
                return id_of(self.candidates[self.draw(random)]);
            }
            looked *= 8;
        }
    }

    /// Draws the place of a weight.
    fn draw(&self, random: &mut Random) -> usize {
        let drawn = random.next_f64() * sum(&self.weights);
        position(&self.weights, |reached| reached > drawn).unwrap_or(self.weights.len() - 1)
    }

    /// Keeps as few of the first weights as reach `total`; all, and `false`, if they do not.
    fn keep(&mut self, total: f64) -> bool {
        let last = position(&self.weights, |reached| reached >= total);
        self.weights.truncate(last.map_or(usize::MAX, |last| last + 1));
        last.is_some()
    }

    /// Fills the scores: finite, whatever the logits are, and no zero is negative, so that equal ones compare as such.
    fn score(&mut self, logits: &[f32], [older, newer]: [&[u32]; 2]) {
        let penalty = self.sampling.repetition_penalty;
        let finite = |score: f64| {
            let score = if score.is_nan() { f64::MIN } else { score };
            score.clamp(f64::MIN, f64::MAX) + 0.0
        };
        self.scores.clear();
        self.scores.extend(logits.iter().map(|&logit| finite(f64::from(logit))));
        if penalty == 1.0 {
            return;
        }
        for &id in older.iter().chain(newer) {
            // From the logit, so that a character that comes twice is penalised once.
            let logit = finite(f64::from(logits[id as usize]));
            self.scores[id as usize] = finite(if logit > 0.0 { logit / penalty } else { logit * penalty });
        }
    }

    /// Takes the `count` likeliest ids (all if there are fewer) as candidates, the likeliest first.
    fn take(&mut self, count: usize) {
        let Self { scores, maxima, candidates, .. } = self;
        let count = count.min(scores.len());
        let likelier = |a: &u128, b: &u128| b.cmp(a);
        maxima.clear();
        vectorised(
            #[inline(always)]
            || maxima.extend(scores.chunks(BLOCK).map(largest)),
        );
        candidates.clear();
        // The best of so many blocks are as many scores, so nothing below the last of them is needed.
        let mut least = f64::NEG_INFINITY;
        if count <= maxima.len() {
            candidates.extend(maxima.iter().zip(0..).map(|(&max, block)| rank(max, block)));
            let (_, &mut last, _) = candidates.select_nth_unstable_by(count - 1, likelier);
            least = maxima[id_of(last) as usize];
            candidates.clear();
        }
        for (block, (values, &max)) in scores.chunks(BLOCK).zip(&*maxima).enumerate() {
            if max >= least {
                let ranked = values.iter().zip((block * BLOCK) as u32..);
                candidates
                    .extend(ranked.filter(|(score, _)| **score >= least).map(|(&score, id)| rank(score, id)));
            }
        }
        if candidates.len() > count {
            candidates.select_nth_unstable_by(count - 1, likelier);
            candidates.truncate(count);
        }
        candidates.sort_unstable_by(likelier);
    }

    /// Fills the weights of the candidates, of which the first is the likeliest.
    fn weigh(&mut self) {
        let Self { scores, candidates, weights, sampling, .. } = self;
        let max = scores[id_of(candidates[0]) as usize];
        weights.clear();
        weights.extend(candidates.iter().map(|&rank| scores[id_of(rank) as usize]));
        weights_of(weights, max, sampling.temperature);
    }

    /// Fills the weights of all ids, of which `max` is the largest score.
    fn weigh_all(&mut self, max: f64) {
        self.weights.clear();
        self.weights.extend_from_slice(&self.scores);
        weights_of(&mut self.weights, max, self.sampling.temperature);
    }
}

#[inline(always)]
fn largest(values: &[f64]) -> f64 {
    values.iter().fold(f64::NEG_INFINITY, |max, &value| if value > max { value } else { max })
}

/// A score and its id as one number, which is the larger the likelier, and of equal scores for the lower id: integers are
/// sorted without branches that no processor can foresee.
fn rank(score: f64, id: u32) -> u128 {
    let bits = score.to_bits();
    let ordered = if bits >> 63 == 0 { bits | 1 << 63 } else { !bits };
    u128::from(ordered) << 32 | u128::from(!id)
}

fn id_of(rank: u128) -> u32 {
    !(rank as u32)
}

/// Makes weights of scores.
fn weights_of(scores: &mut [f64], max: f64, temperature: f64) {
    vectorised(
        #[inline(always)]
        || scores.iter_mut().for_each(|score| *score = exp((*score - max) / temperature)),
    );
}

/// Runs a plain loop compiled for the machine's vector instructions. Its bits are the same everywhere: the compiler
/// neither reorders nor fuses what rounds.
#[inline(always)]
fn vectorised<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// The lowest index of the largest value; 0 where none is above `lowest`.
#[inline(always)]
fn likeliest<T: Copy + PartialOrd>(values: &[T], lowest: T) -> u32 {
    let mut lanes = [lowest; BLOCK];
    let (blocks, rest) = values.as_chunks::<BLOCK>();
    for values in blocks {
        for (max, &value) in lanes.iter_mut().zip(values) {
            *max = if value > *max { value } else { *max };
        }
    }
    let max = lanes.iter().chain(rest).fold(lowest, |max, &value| if value > max { value } else { max });
    values.iter().position(|&value| value == max).unwrap_or(0) as u32
}

fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

/// The place of the first weight at which the sum so far satisfies `holds`.
fn position(weights: &[f64], holds: impl Fn(f64) -> bool) -> Option<usize> {
    let mut reached = 0.0;
    weights.iter().position(|weight| {
        reached += weight;
        holds(reached)
    })
}

/// ln 2 in two parts: the first has few enough bits that its product with an integer up to 2^11 is exact.
const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN_2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);

/// Adding this moves the integer part of a small float into its low mantissa bits: 1.5 * 2^52.
const ROUND: f64 = 6_755_399_441_055_744.0;

/// e^x for x <= 0; 0 below -708, where the result would be nearly subnormal. Not the platform's, whose last bits differ.
#[inline(always)]
fn exp(x: f64) -> f64 {
    // x = k ln 2 + r with |r| <= ln 2 / 2; then e^x = 2^k e^r, the latter by its series, whose terms from r^14 / 14!
    // on are below 5e-18.
    let clamped = if x > -708.0 { x } else { -708.0 };
    let shifted = clamped * std::f64::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (clamped - k * LN_2_HIGH) - k * LN_2_LOW;
    let mut series = 1.0 / 6_227_020_800.0;
    for divisor in
        [479_001_600.0, 39_916_800.0, 3_628_800.0, 362_880.0, 40_320.0, 5_040.0, 720.0, 120.0, 24.0, 6.0, 2.0]
    {
        series = series * r + 1.0 / divisor;
    }
    let mantissa = (series * (r * r) + r) + 1.0;
    // The low bits of `shifted` hold k; shifted into the exponent field they multiply by 2^k.
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    if x >= -708.0 { mantissa * power } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A third of a million arguments.
    #[test]
    fn exp_is_near_the_exact_one() {
        let mut worst = 0.0f64;
        let arguments =
            (0..300_000).map(|i| -f64::from(i) * 0.002_359_3).chain([-0.0, -1e-300, -5e-17, -0.5]);
        for x in arguments.filter(|x| *x >= -707.9) {
            worst = worst.max((exp(x) / x.exp() - 1.0).abs());
        }
        assert!(worst < 4e-16, "{worst:e}");
        assert_eq!([exp(0.0), exp(-0.0), exp(-708.5), exp(f64::NEG_INFINITY)], [1.0, 1.0, 0.0, 0.0]);
    }

    /// The same by a full sort and the platform's exp.
    fn plainly(sampling: Sampling, logits: &[f32], recent: &[u32], random: &mut Random) -> u32 {
        let mut scores: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        for id in std::collections::BTreeSet::from_iter(recent) {
            let score = &mut scores[*id as usize];
            let penalty = sampling.repetition_penalty;
            *score = if *score > 0.0 { *score / penalty } else { *score * penalty };
        }
        let mut ids: Vec<usize> = (0..scores.len()).collect();
        if sampling.temperature == 0.0 || sampling.top_k > 0 || sampling.top_p < 1.0 {
            ids.sort_by(|a, b| scores[*b].partial_cmp(&scores[*a]).unwrap());
        }
        if sampling.temperature == 0.0 {
            return ids[0] as u32;
        }
        if sampling.top_k > 0 {
            ids.truncate(sampling.top_k);
        }
        let max = scores.iter().copied().fold(f64::MIN, f64::max);
        let mut weights: Vec<f64> =
            ids.iter().map(|id| ((scores[*id] - max) / sampling.temperature).exp()).collect();
        if sampling.top_p < 1.0 {
            let total = sampling.top_p * sum(&weights);
            weights.truncate(position(&weights, |reached| reached >= total).unwrap_or(usize::MAX - 1) + 1);
        }
        let drawn = random.next_f64() * sum(&weights);
        ids[position(&weights, |reached| reached > drawn).unwrap_or(weights.len() - 1)] as u32
    }

    #[test]
    fn choices_are_those_of_plain_loops() {
        let mut drawn = Random::stream(1, "test");
        for size in [1usize, 2, 15, 16, 17, 100, 1465] {
            for (temperature, top_k, top_p, repetition_penalty) in [
                (0.0, 0, 1.0, 1.0),
                (0.0, 5, 0.5, 1.7),
                (1.0, 0, 1.0, 1.0),
                (0.7, 0, 1.0, 1.3),
                (1.3, 1, 1.0, 1.0),
                (1.3, 3, 1.0, 1.0),
                (0.8, 40, 1.0, 1.0),
                (2.0, 2000, 1.0, 0.8),
                (1.0, 0, 0.9, 1.0),
                (3.0, 0, 0.999, 1.0),
                (1.0, 30, 0.8, 1.1),
            ] {
                let sampling = Sampling { temperature, top_k, top_p, repetition_penalty };
                let mut chooser = Chooser::new(sampling);
                let mut randoms = [Random::stream(2, "test"), Random::stream(2, "test")];
                for round in 0..60 {
                    // Many ties in every other round, zeros of both signs among them.
                    let mut logit = || (drawn.next_gaussians()[0] * 3.0) as f32;
                    let logits: Vec<f32> = (0..size)
                        .map(|_| if round % 2 == 0 { logit() } else { (logit() * 0.5).round() })
                        .collect();
                    let recent: Vec<u32> = (0..12).map(|i| (i * i * round) % size as u32).collect();
                    let chosen = chooser.choose(&logits, [&recent[..5], &recent[5..]], &mut randoms[0]);
                    let plain = plainly(sampling, &logits, &recent, &mut randoms[1]);
                    assert_eq!(chosen, plain, "{sampling:?}, {size} logits, round {round}");
                }
            }
        }
    }

    #[test]
    fn what_is_not_finite_chooses_something() {
        for logits in [[f32::NAN; 20], [f32::INFINITY; 20], [f32::NEG_INFINITY; 20], [f32::MAX; 20]] {
            for top_k in [0, 3] {
                for temperature in [0.0, 1e-300, 1.0, 1e300] {
                    for (top_p, repetition_penalty) in [(1.0, 1.0), (0.5, 1e300), (0.5, 1e-300)] {
                        let sampling = Sampling { temperature, top_k, top_p, repetition_penalty };
                        let mut random = Random::stream(3, "test");
                        let id = Chooser::new(sampling).choose(&logits, [&[1, 1], &[2]], &mut random);
                        assert!(id < 20, "{sampling:?}");
                    }
                }
            }
        }
        let mut random = Random::stream(3, "test");
        let logits = [f32::NAN, -1.0, f32::NAN, -0.5];
        for temperature in [0.0, 1e-9] {
            let sampling = Sampling { temperature, ..Sampling::GREEDY };
            assert_eq!(Chooser::new(sampling).choose(&logits, [&[], &[]], &mut random), 3);
        }
    }

    #[test]
    fn options_out_of_range_are_refused() {
        let greedy = Sampling::GREEDY;
        for (sampling, wrong) in [
            (Sampling { temperature: -1.0, ..greedy }, "temperature"),
            (Sampling { temperature: f64::NAN, ..greedy }, "temperature"),
            (Sampling { temperature: f64::INFINITY, ..greedy }, "temperature"),
            (Sampling { top_p: 0.0, ..greedy }, "top_p"),
            (Sampling { top_p: 1.1, ..greedy }, "top_p"),
            (Sampling { repetition_penalty: 0.0, ..greedy }, "repetition_penalty"),
            (Sampling { repetition_penalty: f64::INFINITY, ..greedy }, "repetition_penalty"),
        ] {
            assert!(
                matches!(sampling.check(), Err(Error::Value { name, .. }) if name == wrong),
                "{sampling:?}"
            );
        }
    }
}
