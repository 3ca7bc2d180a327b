import { Label } from 'react-aria-components/Label';
import { Meter } from 'react-aria-components/Meter';

interface Props {
  label: string;
  value: number;
  limit: number;
  /** The value and the limit in words. */
  text: string;
}

/** A bar that shows the used part of a limit. */
export function Bar({ label, value, limit, text }: Props) {
  const share = limit > 0 ? Math.min(1, value / limit) : 0;
  const tone = share >= 1 ? 'bar-full' : share >= 0.8 ? 'bar-high' : '';
  return (
    <Meter className="bar" value={share * 100} valueLabel={text}>
      <Label className="bar-label">{label}</Label>
      <span className="bar-text">{text}</span>
      {/* The width is an attribute, since the page's security policy forbids styles in the markup. */}
      <svg className={`bar-track ${tone}`} viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">
        <rect width={Math.max(share * 100, share > 0 ? 0.5 : 0)} height="1" />
      </svg>
    </Meter>
  );
}
