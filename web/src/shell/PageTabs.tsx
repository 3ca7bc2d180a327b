import { useEffect, useRef } from 'react';
import { NavLink, useLocation } from 'react-router';

interface Props {
  label: string;
  below: string;
  tabs: readonly { to: string; label: string }[];
}

/** The tabs are links, since each tab is a page with an address of its own. */
export function PageTabs({ label, below, tabs }: Props) {
  const list = useRef<HTMLUListElement>(null);
  const { pathname } = useLocation();
  // On a phone the tabs are wider than the screen, so the current tab is scrolled into view.
  // biome-ignore lint/correctness/useExhaustiveDependencies: the path decides which tab is current
  useEffect(() => {
    const current = list.current?.querySelector<HTMLElement>('[aria-current]');
    if (list.current && current) {
      list.current.scrollLeft = current.offsetLeft - (list.current.clientWidth - current.clientWidth) / 2;
    }
  }, [pathname]);
  return (
    <nav aria-label={label} className="tabs">
      <ul ref={list}>
        {tabs.map((tab) => (
          <li key={tab.to}>
            <NavLink to={tab.to ? `${below}/${tab.to}` : below} end={tab.to === ''} className="tab">
              {tab.label}
            </NavLink>
          </li>
        ))}
      </ul>
    </nav>
  );
}
