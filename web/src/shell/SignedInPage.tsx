import { Navigate, useSearchParams } from 'react-router';
import { Loading } from '../ui/Loading';

/** Where the issuer sends people back to. Where they were before is on its way, and must not be overtaken. */
export function SignedInPage() {
  const [search] = useSearchParams();
  return search.has('code') || search.has('error') ? <Loading what="guildhook" /> : <Navigate to="/" replace />;
}
