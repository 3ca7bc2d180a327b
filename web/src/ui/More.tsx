import { Button } from './Button';

interface Props {
  query: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown };
  what: string;
}

export function More({ query, what }: Props) {
  if (!query.hasNextPage) return null;
  return (
    <p className="more">
      <Button onPress={() => query.fetchNextPage()} isPending={query.isFetchingNextPage}>
        {what}
      </Button>
    </p>
  );
}
