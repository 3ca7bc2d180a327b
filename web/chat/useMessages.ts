import { useCallback, useEffect, useState } from 'react';
import { listen, listMessages, type Message } from './server';

const MOST_MESSAGES = 500;

/** The messages of a channel, kept up to date. `add` adds a message that the server has accepted. */
export function useMessages(channelId: string | undefined) {
  const [all, setAll] = useState<Message[]>([]);
  const [connection, setConnection] = useState<'opening' | 'open' | 'lost'>('opening');

  const add = useCallback((...more: Message[]) => setAll((known) => merged(known, more)), []);

  useEffect(() => listen(add, (open) => setConnection(open ? 'open' : 'lost')), [add]);

  // The messages are read each time the connection opens, since no event brings the earlier ones.
  useEffect(() => {
    if (channelId && connection !== 'lost') {
      // If this fails, the connection is lost as well, and the messages are read when it is back.
      listMessages(channelId).then(
        (messages) => add(...messages),
        () => {},
      );
    }
  }, [channelId, connection, add]);

  return { messages: all.filter((message) => message.channel_id === channelId), connection, add };
}

/** The messages without duplicates, sorted by time. */
function merged(known: Message[], more: Message[]): Message[] {
  const byId = new Map([...known, ...more].map((message) => [message.id, message]));
  const sorted = [...byId.values()].sort((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at));
  return sorted.slice(-MOST_MESSAGES);
}
