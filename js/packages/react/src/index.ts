'use client'
// @laniakea/react: hooks over @laniakea/sdk. Nothing is touched when this is imported, neither on a server nor in a browser.
export { LaniakeaProvider, useClient, useStatus, type LaniakeaProviderProps } from './internal/provider.ts'
export {
  useCounter, useCrdt, useDoc, useMap, usePresence, useSet, useText, useTopicStatus, useValue,
  type Opened, type TopicGiven, type UsedCounter, type UsedDoc, type UsedMap, type UsedObject, type UsedPresence, type UsedSet,
} from './internal/hooks.ts'
export { Supervised, type SupervisedProblem, type SupervisedProps } from './internal/supervised.ts'
