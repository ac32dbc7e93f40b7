// Small drawings on a grid of 20, in the color of the text beside them. They say nothing to a screen reader: buttons have names.
import type { ReactNode } from 'react'

function Icon({ children }: { children: ReactNode }) {
  return (
    <svg className="icon" viewBox="0 0 20 20" width="18" height="18" aria-hidden="true" focusable="false">
      {children}
    </svg>
  )
}

export const LinkIcon = () => <Icon><path d="M8.5 11.5a3.5 3.5 0 0 0 5 0l2.6-2.6a3.5 3.5 0 0 0-5-5l-1 1M11.5 8.5a3.5 3.5 0 0 0-5 0l-2.6 2.6a3.5 3.5 0 0 0 5 5l1-1" /></Icon>
export const DownloadIcon = () => <Icon><path d="M10 3v9m-3.5-3.5L10 12l3.5-3.5M4 16.5h12" /></Icon>
export const PlusIcon = () => <Icon><path d="M10 4v12M4 10h12" /></Icon>
export const CheckIcon = () => <Icon><path d="m4.5 10.5 3.5 3.5 7.5-8" /></Icon>
export const HourglassIcon = () => <Icon><path d="M5.5 3h9M5.5 17h9M6.5 3v2.5c0 2 3.5 3 3.5 4.5s-3.5 2.5-3.5 4.5V17M13.5 3v2.5c0 2-3.5 3-3.5 4.5s3.5 2.5 3.5 4.5V17" /></Icon>
export const CloudOffIcon = () => <Icon><path d="M3 3l14 14M7.5 5.6A5 5 0 0 1 15 9a3.5 3.5 0 0 1 1.7 6.3M13.5 16H6a4 4 0 0 1-.9-7.9" /></Icon>
export const EyeIcon = () => <Icon><path d="M2.5 10S5 5 10 5s7.5 5 7.5 5-2.5 5-7.5 5-7.5-5-7.5-5Z" /><circle cx="10" cy="10" r="2.2" /></Icon>
export const WarningIcon = () => <Icon><path d="M10 3.5 17.5 16.5h-15ZM10 8.5v4M10 14.5v.1" /></Icon>

export const HistoryIcon = () => <Icon><path d="M4 6.5A7 7 0 1 1 3 10M3.5 3v4h4M10 6.5V10l2.5 2" /></Icon>
export const PreviousIcon = () => <Icon><path d="m12 4.5-5.5 5.5 5.5 5.5" /></Icon>
export const NextIcon = () => <Icon><path d="m8 4.5 5.5 5.5L8 15.5" /></Icon>
export const CloseIcon = () => <Icon><path d="m5 5 10 10M15 5 5 15" /></Icon>
export const SaveIcon = () => <Icon><path d="M5.5 3.5h9v13L10 13l-4.5 3.5Z" /></Icon>
export const BackIcon = () => <Icon><path d="M7.5 4 3.5 8l4 4M3.5 8h8a4.5 4.5 0 0 1 0 9H9" /></Icon>

export function Logo() {
  return (
    <svg className="logo" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true" focusable="false">
      <path d="M16 16 4 9M16 16 9 28M16 16l12-9M16 16l11 9M16 16 15 3" />
      <circle cx="16" cy="16" r="4.5" />
      <circle cx="4" cy="9" r="2" /><circle cx="9" cy="28" r="2" /><circle cx="28" cy="7" r="2.5" />
      <circle cx="27" cy="25" r="2" /><circle cx="15" cy="3" r="1.5" />
    </svg>
  )
}
