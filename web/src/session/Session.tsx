import { useQuery } from '@tanstack/react-query';
import { createContext, type ReactNode, use, useEffect, useState, useSyncExternalStore } from 'react';
import { AuthProvider, useAuth } from 'react-oidc-context';
import { answer, api } from '../api/client';
import { asProblem } from '../api/problem';
import type { SignIn } from '../api/types';
import { Button } from '../ui/Button';
import { Dialog, DialogActions } from '../ui/Dialog';
import { FullPage } from '../ui/FullPage';
import { Loading } from '../ui/Loading';
import { ProblemNotice } from '../ui/ProblemNotice';
import { createUserManager, onSessionChange, postponeSignIn, sessionHasEnded } from './token';

const SignInContext = createContext<SignIn | null>(null);

export function useSignIn(): SignIn {
  const signIn = use(SignInContext);
  if (!signIn) throw new Error('outside of Session');
  return signIn;
}

interface Props {
  /** Goes to where somebody was before signing in. */
  onSignedIn: (path: string) => void;
  children: ReactNode;
}

/** Everything below is shown to people who are signed in. */
export function Session({ onSignedIn, children }: Props) {
  const { data, error, refetch, isFetching } = useQuery({
    queryKey: ['sign-in'],
    queryFn: ({ signal }) => answer(api.GET('/api/sign-in', { signal })),
    staleTime: Number.POSITIVE_INFINITY,
  });
  if (!window.isSecureContext) {
    return (
      <FullPage title="guildhook needs a secure connection">
        <p>
          Signing in and uploading use cryptography that browsers offer on <code>https://</code> addresses alone, and on
          this machine’s own at <code>http://127.0.0.1</code>. Open the page at such an address.
        </p>
      </FullPage>
    );
  }
  if (error) {
    return (
      <FullPage title="guildhook">
        <ProblemNotice problem={asProblem(error)} onRetry={() => refetch()} isRetrying={isFetching} />
      </FullPage>
    );
  }
  if (!data) return <Loading what="guildhook" />;
  return (
    <SignInContext value={data}>
      <SignedIn signIn={data} onSignedIn={onSignedIn}>
        {children}
      </SignedIn>
    </SignInContext>
  );
}

function SignedIn({ signIn, onSignedIn, children }: Props & { signIn: SignIn }) {
  const [manager] = useState(() => createUserManager(signIn));
  return (
    <AuthProvider userManager={manager} onSigninCallback={(user) => onSignedIn(pathOf(user?.state))}>
      <Gate>{children}</Gate>
    </AuthProvider>
  );
}

function Gate({ children }: { children: ReactNode }) {
  const auth = useAuth();
  const [wasSignedIn, setWasSignedIn] = useState(false);
  useEffect(() => {
    if (auth.isAuthenticated) setWasSignedIn(true);
  }, [auth.isAuthenticated]);

  // Whoever was signed in keeps the page, and what is typed there, when the session ends.
  if (auth.isAuthenticated || (wasSignedIn && auth.user)) {
    return (
      <>
        {children}
        <SessionEnded />
      </>
    );
  }
  if (auth.isLoading || auth.activeNavigator) return <Loading what="your session" />;
  return (
    <FullPage title="guildhook">
      <p>Upload the plugins of your guild, set them up, and see what they do.</p>
      {auth.error && (
        <p className="notice notice-bad" role="alert">
          Signing in has failed: {auth.error.message}. Try again; if it stays, tell the operator.
        </p>
      )}
      <Button kind="primary" onPress={() => auth.signinRedirect({ state: { path: here() } })}>
        Sign in
      </Button>
    </FullPage>
  );
}

function SessionEnded() {
  const auth = useAuth();
  const ended = useSyncExternalStore(onSessionChange, sessionHasEnded);
  const [pending, setPending] = useState(false);
  const signIn = () => {
    setPending(true);
    auth.signinRedirect({ state: { path: here() } }).catch(() => setPending(false));
  };
  return (
    <Dialog title="Your session has ended" role="alertdialog" isOpen={ended} onClose={postponeSignIn}>
      <p>Sign in again to go on. What you have typed on this page is kept.</p>
      {auth.error && <p className="notice notice-bad">Signing in has failed: {auth.error.message}</p>}
      <DialogActions>
        <Button onPress={postponeSignIn}>Not now</Button>
        <Button kind="primary" isPending={pending} onPress={signIn}>
          Sign in again
        </Button>
      </DialogActions>
    </Dialog>
  );
}

function here(): string {
  return location.pathname === '/signed-in' ? '/' : location.pathname + location.search;
}

function pathOf(state: unknown): string {
  const path = (state as { path?: unknown } | undefined)?.path;
  return typeof path === 'string' && /^\/(?!\/)/.test(path) ? path : '/';
}
