import { useEffect, useState } from 'react';
import { Composer } from './Composer';
import { Messages } from './Messages';
import { Places } from './Places';
import { type Place, usePlace } from './place';
import { type Guild, type Guilds, listGuilds } from './server';
import { useMessages } from './useMessages';

export function Chat() {
  const [known, setKnown] = useState<Guilds>();
  const [problem, setProblem] = useState('');
  useEffect(() => {
    listGuilds().then(setKnown, (error: Error) => setProblem(error.message));
  }, []);
  if (problem) {
    return (
      <p role="alert" className="problem">
        The chat server does not answer: {problem} Is <code>guildhook serve</code> still running?
      </p>
    );
  }
  return known ? <Room known={known} /> : null;
}

function Room({ known }: { known: Guilds }) {
  const [place, go] = usePlace();
  const { guild, channel } = found(known.guilds, place);
  const { messages, connection, add } = useMessages(channel?.id);
  useEffect(() => {
    document.title = guild && channel ? `#${channel.name}, ${guild.name} - sample chat` : 'Sample chat';
  }, [guild, channel]);
  if (!guild || !channel) {
    return <p className="problem">There is no guild here yet.</p>;
  }
  return (
    <div className="chat">
      <Places guilds={known.guilds} guild={guild} channel={channel} go={go} />
      <main>
        <header>
          <h1>
            <span aria-hidden="true">#</span> {channel.name}
          </h1>
          {known.admin_url && (
            <a className="plugins" href={`${known.admin_url}/guilds/${guild.id}`}>
              Plugins of {guild.name}
            </a>
          )}
        </header>
        <p role="status" className="connection">
          {connection !== 'lost' ? '' : 'The connection to the chat server is lost. The page is trying again.'}
        </p>
        <Messages key={channel.id} messages={messages} channel={channel} />
        <Composer key={guild.id} guild={guild} channel={channel} onSaid={add} />
      </main>
      <aside aria-labelledby="members">
        <h2 id="members">Members</h2>
        <ul>
          {guild.members.map((member) => (
            <li key={member.id}>
              {member.name}
              {member.about && <small>{member.about}</small>}
            </li>
          ))}
        </ul>
      </aside>
    </div>
  );
}

/** The guild and channel of the address; the first ones if the address has none. */
function found(guilds: Guild[], place: Place) {
  const guild = guilds.find((one) => one.id === place.guildId) ?? guilds[0];
  const channel = guild?.channels.find((one) => one.id === place.channelId) ?? guild?.channels[0];
  return { guild, channel };
}
