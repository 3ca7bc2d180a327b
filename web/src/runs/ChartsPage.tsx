import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useSearchParams } from 'react-router';
import { Bar, BarChart, CartesianGrid, ResponsiveContainer, Tooltip, XAxis, YAxis } from 'recharts';
import { usageQuery } from '../api/queries';
import { usePlugin } from '../plugins/PluginLayout';
import { Loaded } from '../shell/Loaded';
import { PageHeading } from '../shell/PageHeading';
import { Empty } from '../ui/Empty';
import { Scrollable } from '../ui/Scrollable';
import { Views } from '../ui/Views';
import { count, duration, short, whole } from '../words/format';
import { type Bucket, buckets, KINDS, type Kind } from './buckets';

const RANGES = {
  day: { label: '24 hours', hours: 24, size: 1, format: { hour: '2-digit', minute: '2-digit' } },
  week: { label: '7 days', hours: 168, size: 6, format: { weekday: 'short', hour: '2-digit' } },
} as const;
type Range = keyof typeof RANGES;

const NAMES: Record<Kind, string> = {
  ok: 'ok',
  failed: 'crashed or not loadable',
  limited: 'over a limit',
  internal: 'guildhook’s fault',
  quarantined: 'not run: quarantined',
};

export function ChartsPage() {
  const { plugin } = usePlugin();
  const [search, setSearch] = useSearchParams();
  const range: Range = search.get('range') === 'week' ? 'week' : 'day';
  const { hours, size } = RANGES[range];
  const query = useQuery(usageQuery({ guild_id: plugin.guild_id, plugin_id: plugin.id }, hours));
  return (
    <>
      <div className="toolbar">
        <PageHeading title={['Charts', plugin.name]} level={2}>
          Runs over time
        </PageHeading>
        <Views<Range>
          label="Period"
          views={{ day: RANGES.day.label, week: RANGES.week.label }}
          value={range}
          onChange={(chosen) => setSearch(chosen === 'week' ? { range: chosen } : {}, { replace: true })}
        />
      </div>
      <Loaded query={query} what="the charts">
        {({ items }) =>
          items.length === 0 ? (
            <Empty title={`The plugin did not run in the last ${RANGES[range].label}`}>
              <p>
                An enabled plugin with a live version runs for every message of the guild. Its runs are counted here.
              </p>
            </Empty>
          ) : (
            <Charts data={buckets(items, hours, size, new Date())} range={range} />
          )
        }
      </Loaded>
    </>
  );
}

function Charts({ data, range }: { data: Bucket[]; range: Range }) {
  const label = useMemo(() => {
    const format = new Intl.DateTimeFormat('en-GB', RANGES[range].format);
    return (bucket: Bucket) => format.format(bucket.at);
  }, [range]);
  const shown = useMemo(() => data.map((bucket) => ({ ...bucket, label: label(bucket) })), [data, label]);
  const runs = data.reduce((sum, bucket) => sum + bucket.runs, 0);
  const failed = data.reduce((sum, bucket) => sum + bucket.runs - bucket.ok, 0);
  const kinds = KINDS.filter((kind) => kind === 'ok' || data.some((bucket) => bucket[kind] > 0));
  return (
    <>
      <Chart
        title="Runs by outcome"
        summary={`${count(runs, 'run')}, ${whole(failed)} of them failed.`}
        data={shown}
        format={whole}
        bars={kinds.map((kind) => ({ key: kind, name: NAMES[kind] }))}
      />
      <Chart
        title="Fuel of a run, on average"
        summary={`Between ${short(least(data, 'fuelPerRun'))} and ${short(most(data, 'fuelPerRun'))}.`}
        data={shown}
        format={short}
        bars={[{ key: 'fuelPerRun', name: 'fuel' }]}
      />
      <Chart
        title="Time of a run, on average"
        summary={`Between ${inMs(least(data, 'msPerRun'))} and ${inMs(most(data, 'msPerRun'))}.`}
        data={shown}
        format={inMs}
        bars={[{ key: 'msPerRun', name: 'time' }]}
      />
      <AsTable data={shown} kinds={kinds} />
    </>
  );
}

interface ChartProps {
  title: string;
  summary: string;
  data: (Bucket & { label: string })[];
  format: (value: number) => string;
  bars: { key: Kind | 'fuelPerRun' | 'msPerRun'; name: string }[];
}

/** The chart is hidden from screen readers, which read its summary, and the numbers in the table below. */
function Chart({ title, summary, data, format, bars }: ChartProps) {
  return (
    <figure className="chart">
      <figcaption>
        <h3>{title}</h3>
        <p className="muted">{summary}</p>
        {bars.length > 1 && (
          <ul className="legend" aria-hidden="true">
            {bars.map(({ key, name }) => (
              <li key={key}>
                <span className={`swatch swatch-${key}`} />
                {name}
              </li>
            ))}
          </ul>
        )}
      </figcaption>
      <div className="chart-picture" aria-hidden="true">
        <ResponsiveContainer width="100%" height="100%">
          <BarChart
            data={data}
            accessibilityLayer={false}
            margin={{ top: 8, right: 0, bottom: 0, left: 0 }}
            barCategoryGap="18%"
          >
            <CartesianGrid vertical={false} />
            <XAxis dataKey="label" tickLine={false} minTickGap={24} />
            <YAxis
              width={56}
              tickLine={false}
              axisLine={false}
              tickFormatter={format}
              allowDecimals={bars[0]?.key !== 'ok'}
            />
            <Tooltip
              isAnimationActive={false}
              formatter={(value) => format(Number(value))}
              wrapperClassName="chart-tooltip"
              cursor={{ className: 'chart-cursor' }}
            />
            {bars.map(({ key, name }) => (
              <Bar
                key={key}
                dataKey={key}
                name={name}
                stackId="all"
                fill={`var(--chart-${key})`}
                isAnimationActive={false}
              />
            ))}
          </BarChart>
        </ResponsiveContainer>
      </div>
    </figure>
  );
}

function AsTable({ data, kinds }: { data: (Bucket & { label: string })[]; kinds: readonly Kind[] }) {
  return (
    <details className="details">
      <summary>Show the numbers as a table</summary>
      <Scrollable label="The numbers as a table">
        <table className="table-plain">
          <caption className="visually-hidden">Runs by outcome, with fuel and time of a run on average</caption>
          <thead>
            <tr>
              <th scope="col">From</th>
              {kinds.map((kind) => (
                <th key={kind} scope="col" className="number">
                  {NAMES[kind]}
                </th>
              ))}
              <th scope="col" className="number">
                Fuel of a run
              </th>
              <th scope="col" className="number">
                Time of a run
              </th>
            </tr>
          </thead>
          <tbody>
            {data.map((bucket) => (
              <tr key={bucket.at.toISOString()}>
                <th scope="row">{bucket.label}</th>
                {kinds.map((kind) => (
                  <td key={kind} className="number">
                    {whole(bucket[kind])}
                  </td>
                ))}
                <td className="number">{short(bucket.fuelPerRun)}</td>
                <td className="number">{inMs(bucket.msPerRun)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scrollable>
    </details>
  );
}

function inMs(value: number): string {
  return duration(Math.round(value * 1_000));
}

function ran(data: readonly Bucket[], key: 'fuelPerRun' | 'msPerRun'): number[] {
  return data.filter((bucket) => bucket.runs > 0).map((bucket) => bucket[key]);
}

function least(data: readonly Bucket[], key: 'fuelPerRun' | 'msPerRun'): number {
  return Math.min(...ran(data, key), Number.MAX_VALUE);
}

function most(data: readonly Bucket[], key: 'fuelPerRun' | 'msPerRun'): number {
  return Math.max(...ran(data, key), 0);
}
