// Styles become files of their own beside the bundle.
declare module '*.css'
