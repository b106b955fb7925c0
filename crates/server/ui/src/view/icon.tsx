// Line drawings, 24 by 24.
const PATHS = {
  plus: 'M12 5v14M5 12h14',
  send: 'M5 12h13M12 5l7 7-7 7',
  stop: 'M7 7h10v10H7z',
  again: 'M4 12a8 8 0 1 0 2.5-5.8M4 4v4h4',
  edit: 'M4 20h4L19 9l-4-4L4 16zM13 7l4 4',
  copy: 'M9 9h10v11H9zM5 15V4h10',
  code: 'M9 7l-5 5 5 5M15 7l5 5-5 5',
  trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  menu: 'M4 7h16M4 12h16M4 17h16',
  sliders: 'M4 8h9M17 8h3M4 16h3M11 16h9M15 6v4M9 14v4',
  camera: 'M4 8h4l2-3h4l2 3h4v11H4zM12 16.5a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4z',
  upload: 'M12 16V5M7 9l5-5 5 5M5 19h14',
  download: 'M12 5v11M7 12l5 5 5-5M5 20h14',
  link: 'M10 14l4-4M8 11l-2 2a3.5 3.5 0 0 0 5 5l2-2M16 13l2-2a3.5 3.5 0 0 0-5-5l-2 2',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  picture: 'M4 5h16v14H4zM4 16l4.5-5 4 4.5 2.5-2.5 5 5M15.5 9.5h.01',
  play: 'M8 5l11 7-11 7z',
  crop: 'M7 3v14h14M3 7h14v14',
  left: 'M15 5l-7 7 7 7',
  right: 'M9 5l7 7-7 7',
  save: 'M5 4h11l3 3v13H5zM8 4v5h7V4M8 20v-6h8v6',
  open: 'M3 19V6h6l2 2h8v3M3 19l3-8h15l-3 8z',
  close: 'M6 6l12 12M18 6L6 18',
  forward: 'M5 5l7 7-7 7M13 5l7 7-7 7',
} as const;

export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">
      <path d={PATHS[name]} />
    </svg>
  );
}
