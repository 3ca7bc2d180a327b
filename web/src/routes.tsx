import { createBrowserRouter } from 'react-router';
import { ErrorPage, NotFoundPage } from './shell/ErrorPage';
import { Layout } from './shell/Layout';
import { SignedInPage } from './shell/SignedInPage';
import { Loading } from './ui/Loading';

// Each tab is loaded when it is opened, since the editor, the forms and the charts are most of the page's code.
export const router = createBrowserRouter([
  {
    path: '/',
    element: <Layout />,
    HydrateFallback: () => <Loading what="the page" />,
    children: [
      {
        errorElement: <ErrorPage />,
        children: [
          { index: true, lazy: async () => ({ Component: (await import('./guilds/GuildsPage')).GuildsPage }) },
          { path: 'signed-in', element: <SignedInPage /> },
          { path: 'guilds/help', lazy: async () => ({ Component: (await import('./shell/HelpPage')).HelpPage }) },
          {
            path: 'guilds/:guildId',
            lazy: async () => ({ Component: (await import('./guilds/GuildLayout')).GuildLayout }),
            children: [
              {
                index: true,
                lazy: async () => ({ Component: (await import('./plugins/PluginListPage')).PluginListPage }),
              },
              {
                path: 'settings',
                lazy: async () => ({ Component: (await import('./guilds/GuildSettingsPage')).GuildSettingsPage }),
              },
              { path: 'audit', lazy: async () => ({ Component: (await import('./guilds/AuditPage')).AuditPage }) },
            ],
          },
          {
            path: 'guilds/:guildId/plugins/:pluginId',
            lazy: async () => ({ Component: (await import('./plugins/PluginLayout')).PluginLayout }),
            children: [
              {
                index: true,
                lazy: async () => ({ Component: (await import('./plugins/OverviewPage')).OverviewPage }),
              },
              {
                path: 'versions',
                lazy: async () => ({ Component: (await import('./versions/VersionsPage')).VersionsPage }),
              },
              {
                path: 'settings',
                lazy: async () => ({ Component: (await import('./settings/SettingsPage')).SettingsPage }),
              },
              {
                path: 'permissions',
                lazy: async () => ({ Component: (await import('./plugins/PermissionsPage')).PermissionsPage }),
              },
              { path: 'runs', lazy: async () => ({ Component: (await import('./runs/RunsPage')).RunsPage }) },
              { path: 'runs/:runId', lazy: async () => ({ Component: (await import('./runs/RunPage')).RunPage }) },
              { path: 'why', lazy: async () => ({ Component: (await import('./runs/WhyPage')).WhyPage }) },
              { path: 'test', lazy: async () => ({ Component: (await import('./runs/TestPage')).TestPage }) },
              { path: 'charts', lazy: async () => ({ Component: (await import('./runs/ChartsPage')).ChartsPage }) },
            ],
          },
          { path: '*', element: <NotFoundPage /> },
        ],
      },
    ],
  },
]);
