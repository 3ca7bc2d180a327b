import { ToggleButton } from 'react-aria-components/ToggleButton';
import { ToggleButtonGroup } from 'react-aria-components/ToggleButtonGroup';

interface Props<View extends string> {
  label: string;
  views: Record<View, string>;
  value: View;
  onChange: (view: View) => void;
  isDisabled?: (view: View) => boolean;
}

/** A choice between a few views of the same data. */
export function Views<View extends string>({ label, views, value, onChange, isDisabled }: Props<View>) {
  return (
    <ToggleButtonGroup
      className="views"
      aria-label={label}
      selectionMode="single"
      disallowEmptySelection
      selectedKeys={[value]}
      onSelectionChange={(keys) => onChange([...keys][0] as View)}
    >
      {(Object.keys(views) as View[]).map((view) => (
        <ToggleButton key={view} id={view} className="view" isDisabled={isDisabled?.(view)}>
          {views[view]}
        </ToggleButton>
      ))}
    </ToggleButtonGroup>
  );
}
