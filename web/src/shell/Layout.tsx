import { useQueryClient } from '@tanstack/react-query';
import { Suspense, useState } from 'react';
import { Button as AriaButton } from 'react-aria-components/Button';
import { Header } from 'react-aria-components/Header';
import { Menu, MenuItem, MenuSection, MenuTrigger } from 'react-aria-components/Menu';
import { Popover } from 'react-aria-components/Popover';
import { useAuth } from 'react-oidc-context';
import { Link, Outlet, ScrollRestoration } from 'react-router';
import { dropAllDrafts } from '../session/drafts';
import { Loading } from '../ui/Loading';
import { Mark } from '../ui/Mark';
import { Announcements } from './announce';
import { OfflineBanner } from './OfflineBanner';
import { setTheme, storedTheme, type Theme } from './theme';

const THEMES: Record<Theme, string> = { system: 'As the system', light: 'Light', dark: 'Dark' };

export function Layout() {
  return (
    <>
      <a className="skip" href="#content">
        Skip to the content
      </a>
      <header className="top">
        <div className="top-inner">
          <Link to="/" className="brand">
            <Mark size={22} />
            guildhook
          </Link>
          <nav aria-label="Service" className="top-links">
            <Link to="/guilds/help">Docs</Link>
            <a href="/api.html">API</a>
          </nav>
          <AccountMenu />
        </div>
      </header>
      <OfflineBanner />
      <main id="content" tabIndex={-1}>
        <Suspense fallback={<Loading what="the page" />}>
          <Outlet />
        </Suspense>
      </main>
      <Announcements />
      <ScrollRestoration />
    </>
  );
}

function AccountMenu() {
  const auth = useAuth();
  const queryClient = useQueryClient();
  const [theme, choose] = useState(storedTheme);
  const { name, preferred_username: username } = auth.user?.profile ?? {};
  const signOut = async () => {
    dropAllDrafts();
    queryClient.clear();
    await auth.removeUser();
    // Loads the start page anew, so that no data of the last user is left in memory.
    location.assign('/');
  };
  return (
    <MenuTrigger>
      <AriaButton className="button button-quiet account">{name ?? username ?? 'Account'}</AriaButton>
      <Popover className="popover" placement="bottom end">
        <Menu className="menu" aria-label="Account">
          <MenuSection
            selectionMode="single"
            disallowEmptySelection
            selectedKeys={[theme]}
            onSelectionChange={(keys) => {
              const chosen = [...keys][0] as Theme;
              setTheme(chosen);
              choose(chosen);
            }}
          >
            <Header className="menu-header">Colours</Header>
            {(Object.keys(THEMES) as Theme[]).map((each) => (
              <MenuItem key={each} id={each} className="menu-item">
                {THEMES[each]}
              </MenuItem>
            ))}
          </MenuSection>
          <MenuSection aria-label="Session">
            <MenuItem className="menu-item menu-item-last" onAction={signOut}>
              Sign out
            </MenuItem>
          </MenuSection>
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}
