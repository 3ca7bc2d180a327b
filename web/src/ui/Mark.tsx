export function Mark({ size }: { size: number }) {
  return (
    <svg viewBox="0 0 32 32" width={size} height={size} aria-hidden="true" className="mark">
      <rect width="32" height="32" rx="8" />
      <path d="M20.5 9.7v7.8a4.5 4.5 0 0 1-9 0V16m0 0L9 18.6M11.5 16l2.5 2.6" />
      <circle cx="20.5" cy="7.5" r="2.2" />
    </svg>
  );
}
