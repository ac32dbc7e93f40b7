// tests/conformance/doc/random.mjs -- pseudorandom choices: the same seed and stream, the same choices, anywhere.

/** Chris Doty-Humphrey's sfc32; its state comes from the numbers in `seeds` by a mixing step. */
export class Random {
  #a; #b; #c; #n = 1

  constructor(...seeds) {
    let state = 0x9e3779b9
    const mix = (word) => {
      state = Math.imul(state ^ word, 0x85ebca6b)
      state ^= state >>> 13
      state = Math.imul(state, 0xc2b2ae35)
      state ^= state >>> 16
      return state | 0
    }
    for (const seed of seeds) {
      mix(seed >>> 0)
      mix(Math.floor(seed / 0x100000000) >>> 0)
    }
    this.#a = mix(1)
    this.#b = mix(2)
    this.#c = mix(3)
    for (let i = 0; i < 12; i++) this.u32()
  }

  u32() {
    const sum = (this.#a + this.#b + this.#n) | 0
    this.#n = (this.#n + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0
    return sum >>> 0
  }

  /** 0 to n - 1. */
  below(n) {
    return Math.floor((this.u32() / 0x100000000) * n)
  }

  /** From `low` to `high`, both included. */
  range(low, high) {
    return low + this.below(high - low + 1)
  }

  chance(probability) {
    return this.u32() < probability * 0x100000000
  }

  pick(list) {
    return list[this.below(list.length)]
  }

  /** One of `table`'s values, by the weights in front of them: [[3, a], [1, b]]. */
  weighted(table) {
    let total = 0
    for (const [weight] of table) total += weight
    let at = this.below(total)
    for (const [weight, value] of table) if ((at -= weight) < 0) return value
  }

  shuffle(list) {
    for (let i = list.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      ;[list[i], list[j]] = [list[j], list[i]]
    }
    return list
  }
}
