import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { I18nProvider } from 'react-aria-components/I18nProvider';
import { createRoot } from 'react-dom/client';
import { RouterProvider } from 'react-router';
import { ProblemError } from './api/problem';
import { router } from './routes';
import { Session } from './session/Session';
import { applyTheme } from './shell/theme';
import './styles/base.css';
import './styles/parts.css';
import './styles/pages.css';

const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // A refusal by the API is final, so only requests without an answer are tried again.
      retry: (failures, error) => failures < 2 && error instanceof ProblemError && error.status >= 502,
      networkMode: 'always',
    },
    mutations: { networkMode: 'always' },
  },
});

applyTheme();
const root = document.getElementById('root');
if (!root) throw new Error('index.html has no root');
createRoot(root).render(
  <StrictMode>
    <I18nProvider locale="en-GB">
      <QueryClientProvider client={queryClient}>
        <Session onSignedIn={(path) => router.navigate(path, { replace: true })}>
          <RouterProvider router={router} />
        </Session>
      </QueryClientProvider>
    </I18nProvider>
  </StrictMode>,
);
