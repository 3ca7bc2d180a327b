import { Navigate, useSearchParams } from 'react-router';
import { Loading } from '../ui/Loading';

/** The page that the issuer redirects to. It shows nothing, since the page from before follows at once. */
export function SignedInPage() {
  const [search] = useSearchParams();
  return search.has('code') || search.has('error') ? <Loading what="guildhook" /> : <Navigate to="/" replace />;
}
