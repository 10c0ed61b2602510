/**
 * Global-norm clipping, seen from outside: the gradient of an update is scaled by
 * `min(1, maxGradNorm / norm)`, the norm taken over all parameters together (Pascanu et al. 2013). The native
 * side applies it; here is told how often it did.
 */

/** Share of the updates, from 0 to 1, whose gradient was scaled down. */
export function clippedShare(gradientNorms: readonly number[], maxGradNorm: number): number {
  return gradientNorms.filter((norm) => norm > maxGradNorm).length / gradientNorms.length;
}

/** Median of the norms before clipping. */
export function medianNorm(gradientNorms: readonly number[]): number {
  const sorted = [...gradientNorms].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}
