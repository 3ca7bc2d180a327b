import { useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { guildsQuery } from '../api/queries';
import { Loaded } from '../shell/Loaded';
import { PageHeading } from '../shell/PageHeading';
import { Empty } from '../ui/Empty';

export function GuildsPage() {
  const query = useQuery(guildsQuery);
  return (
    <div className="page page-narrow">
      <PageHeading title={['Guilds']}>Your guilds</PageHeading>
      <Loaded query={query} what="your guilds">
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="You do not manage a guild">
              <p>
                Only people with the permission MANAGE_GUILD can manage plugins. Ask the owner of your guild for it,
                then reload this page.
              </p>
            </Empty>
          ) : (
            <ul className="cards">
              {items.map((guild) => (
                <li key={guild.id}>
                  <Link to={`/guilds/${guild.id}`} className="card card-link">
                    <span className="initial" aria-hidden="true">
                      {[...guild.name][0]?.toUpperCase()}
                    </span>
                    <span className="card-title">{guild.name}</span>
                  </Link>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
    </div>
  );
}
