/** Random numbers from a seed, the same whenever the page runs. */

export class Random {
  constructor(seed) {
    this.state = (seed >>> 0) + 0x9e3779b9;
    for (let i = 0; i < 8; i++) this.uniform();
  }

  /** U(0, 1), in steps of 2^-32: the generator Mulberry32. */
  uniform() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  /** One of 0, ..., n - 1. */
  integer(n) {
    return Math.floor(n * this.uniform());
  }

  /** N(0, 1), by the method of Box and Muller. */
  normal() {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** n values of N(0, 1). */
  normals(n) {
    return Float64Array.from({ length: n }, () => this.normal());
  }
}
