import type { Hour } from './today';

const HEIGHT = 20;

/** A small chart of the numbers beside it; hidden from screen readers, which read the numbers. */
export function Sparkline({ hours }: { hours: readonly Hour[] }) {
  const most = Math.max(1, ...hours.map((hour) => hour.ok + hour.failed));
  return (
    <svg className="sparkline" viewBox={`0 0 ${hours.length * 4} ${HEIGHT}`} aria-hidden="true">
      {hours.map((hour, index) => {
        const ok = scale(hour.ok, most);
        const failed = scale(hour.failed, most);
        const x = index * 4;
        return (
          // biome-ignore lint/suspicious/noArrayIndexKey: an hour is its place
          <g key={index}>
            <rect className="sparkline-none" x={x} y={HEIGHT - 1} width="3" height="1" />
            <rect className="sparkline-ok" x={x} y={HEIGHT - ok} width="3" height={ok} />
            <rect className="sparkline-failed" x={x} y={HEIGHT - ok - failed} width="3" height={failed} />
          </g>
        );
      })}
    </svg>
  );
}

function scale(value: number, most: number): number {
  return value === 0 ? 0 : Math.max(1.5, (value / most) * HEIGHT);
}
