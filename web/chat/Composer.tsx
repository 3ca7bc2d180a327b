import { type FormEvent, useState } from 'react';
import { type Channel, type Guild, type Message, say } from './server';

const MAX_CONTENT_CHARS = 4_000;

type Props = { guild: Guild; channel: Channel; onSaid: (message: Message) => void };

export function Composer({ guild, channel, onSaid }: Props) {
  const [memberId, setMemberId] = useState(guild.members[0]?.id ?? '');
  const [content, setContent] = useState('');
  const [problem, setProblem] = useState('');

  async function send(event: FormEvent) {
    event.preventDefault();
    const text = content.trim();
    if (!text) {
      return;
    }
    setContent('');
    setProblem('');
    try {
      onSaid(await say(channel.id, memberId, text));
    } catch (error) {
      setProblem(`The message was not sent: ${(error as Error).message}`);
      // The text is put back, unless another text has been typed in the meantime.
      setContent((now) => now || content);
    }
  }

  return (
    <form className="composer" onSubmit={send}>
      <label>
        Speak as
        <select value={memberId} onChange={(event) => setMemberId(event.target.value)}>
          {guild.members.map((member) => (
            <option key={member.id} value={member.id}>
              {member.name}
            </option>
          ))}
        </select>
      </label>
      <label className="message">
        Message to #{channel.name}
        <input
          value={content}
          maxLength={MAX_CONTENT_CHARS}
          autoComplete="off"
          placeholder="!ping"
          onChange={(event) => setContent(event.target.value)}
        />
      </label>
      <button type="submit">Send</button>
      <p role="alert">{problem}</p>
    </form>
  );
}
