import { useEffect, useRef } from 'react';
import type { Channel, Message } from './server';

const CLOSE_TO_THE_END = 80;

export function Messages({ messages, channel }: { messages: Message[]; channel: Channel }) {
  const list = useRef<HTMLDivElement>(null);
  const atTheEnd = useRef(true);
  const newest = messages.at(-1)?.id;
  // The list does not scroll for readers who have scrolled up.
  useEffect(() => {
    if (newest && atTheEnd.current) {
      list.current?.scrollTo({ top: list.current.scrollHeight });
    }
  }, [newest]);
  return (
    <div
      ref={list}
      role="log"
      aria-label={`Messages in ${channel.name}`}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: the keyboard must reach a scrollable list
      tabIndex={0}
      onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
        atTheEnd.current = scrollHeight - scrollTop - clientHeight < CLOSE_TO_THE_END;
      }}
    >
      <ol>
        {messages.map((message) => (
          <li key={message.id} className={message.author.bot ? 'bot' : undefined}>
            <span className="author">{message.author.name}</span>
            {message.author.bot && <span className="badge">bot</span>}
            <time dateTime={message.created_at}>{clock(message.created_at)}</time>
            <p>{message.content}</p>
          </li>
        ))}
      </ol>
    </div>
  );
}

function clock(time: string): string {
  return new Date(time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' });
}
