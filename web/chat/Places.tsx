import type { MouseEvent } from 'react';
import { pathOf } from './place';
import type { Channel, Guild } from './server';

type Props = { guilds: Guild[]; guild: Guild; channel: Channel; go: (path: string) => void };

export function Places({ guilds, guild, channel, go }: Props) {
  return (
    <nav aria-label="Guilds and channels">
      <p className="brand">Sample chat</p>
      <ul>
        {guilds.map((one) => (
          <li key={one.id}>
            <h2>{one.name}</h2>
            <ul>
              {one.channels.map(({ id, name }) => (
                <li key={id}>
                  <a
                    href={pathOf(one.id, id)}
                    aria-current={one.id === guild.id && id === channel.id ? 'page' : undefined}
                    onClick={(event) => follow(event, () => go(pathOf(one.id, id)))}
                  >
                    <span aria-hidden="true">#</span> {name}
                  </a>
                </li>
              ))}
            </ul>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** Follows a link inside the page, unless it is opened in another tab. */
function follow(event: MouseEvent, go: () => void) {
  if (!(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)) {
    event.preventDefault();
    go();
  }
}
