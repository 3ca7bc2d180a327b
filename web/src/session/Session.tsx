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
import { refusedAlgorithm } from './algorithm';
import { createUserManager, onSessionChange, postponeSignIn, sessionHasEnded } from './token';

const SignInContext = createContext<SignIn | null>(null);

export function useSignIn(): SignIn {
  const signIn = use(SignInContext);
  if (!signIn) throw new Error('outside of Session');
  return signIn;
}

interface Props {
  /** Goes to the page that was open before signing in. */
  onSignedIn: (path: string) => void;
  children: ReactNode;
}

/** Shows its children to people who are signed in, and a button to sign in to others. */
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
          Browsers allow the cryptography for signing in and uploading only on <code>https://</code> addresses, and on
          this machine at <code>http://127.0.0.1</code>. Open the page at such an address.
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
  const { algorithms } = useSignIn();
  const [wasSignedIn, setWasSignedIn] = useState(false);
  useEffect(() => {
    if (auth.isAuthenticated) setWasSignedIn(true);
  }, [auth.isAuthenticated]);

  const refused = refusedAlgorithm(auth.user?.access_token, algorithms);
  if (refused) {
    return (
      <FullPage title="guildhook">
        <p className="notice notice-bad" role="alert">
          Signing in has failed: the identity provider signs access tokens with {refused}, and guildhook is deployed for{' '}
          {algorithms.join(' or ')}. Tell the operator, who can set the parameter <code>JwtAlgorithm</code> to the
          algorithm of the provider: RS256, ES256 or EdDSA.
        </p>
        <Button kind="primary" onPress={() => auth.signinRedirect({ state: { path: here() } })}>
          Sign in again
        </Button>
      </FullPage>
    );
  }
  // When the session ends, the page and all typed texts stay.
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
      <p>Upload the plugins of your guild, change their settings, and see their runs.</p>
      {auth.error && (
        <p className="notice notice-bad" role="alert">
          Signing in has failed: {auth.error.message}. Try again. If it happens again, tell the operator.
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
      <p>Sign in again to continue. The texts that you have typed on this page are kept.</p>
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
