// Components that are begun again when they break, as processes are by a supervisor of OTP.
import { Component, createElement, Fragment, type ErrorInfo, type ReactNode } from 'react'

export interface SupervisedProps {
  readonly children?: ReactNode
  /** So many restarts within `period` are tried; 3. */
  readonly intensity?: number
  /** Milliseconds; 5000. */
  readonly period?: number
  /** What is shown when they did not help. Without it the error goes to the next <Supervised> or error boundary above, which begins
   * more of the page again, as it does where supervisors stand in a tree. */
  readonly fallback?: ReactNode | ((problem: SupervisedProblem) => ReactNode)
  /** Hears of each error. */
  readonly onError?: (error: unknown, info: ErrorInfo) => void
}

export interface SupervisedProblem {
  readonly error: unknown
  /** Begins anew, with all restarts before it forgotten. */
  readonly retry: () => void
}

interface State {
  readonly life: number
  readonly failure: { readonly error: unknown; readonly isFinal: boolean } | undefined
}

/** Mounts its children anew when one of them throws while it renders or in an effect. What they had in `useState` is lost with them;
 * topics are not, since they outlive them by a moment. */
export class Supervised extends Component<SupervisedProps, State> {
  override state: State = { life: 0, failure: undefined }
  #restarts: number[] = []

  static getDerivedStateFromError(error: unknown): Partial<State> {
    return { failure: { error, isFinal: false } }
  }

  override componentDidCatch(error: unknown, info: ErrorInfo): void {
    const { intensity = 3, period = 5_000, onError } = this.props
    const now = Date.now()
    this.#restarts = this.#restarts.filter((at) => now - at < period)
    if (this.#restarts.length < intensity) {
      this.#restarts.push(now)
      this.#begin()
    } else {
      this.setState({ failure: { error, isFinal: true } })
    }
    onError?.(error, info)
  }

  readonly #retry = (): void => {
    this.#restarts = []
    this.#begin()
  }

  #begin(): void {
    this.setState(({ life }) => ({ life: life + 1, failure: undefined }))
  }

  override render(): ReactNode {
    const { children, fallback } = this.props
    const { life, failure } = this.state
    if (failure === undefined) return createElement(Fragment, { key: life }, children)
    if (!failure.isFinal) return null // for no longer than the commit takes
    if (fallback === undefined) throw failure.error
    return typeof fallback === 'function' ? fallback({ error: failure.error, retry: this.#retry }) : fallback
  }
}
