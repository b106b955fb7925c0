// A photo from the camera.
import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { keep, take } from '../media/intake';
import { pending } from '../state/library';
import { t } from '../i18n/words';
import { Dialog } from './dialog';

export const camera = signal(false);

export function CameraDialog() {
  return camera.value ? <Open /> : null;
}

function Open() {
  const video = useRef<HTMLVideoElement>(null);
  const [problem, setProblem] = useState('');
  const [ready, setReady] = useState(false);
  useEffect(() => {
    let stream: MediaStream | undefined;
    let gone = false;
    const asked = navigator.mediaDevices?.getUserMedia({ video: { facingMode: 'environment', width: { ideal: 1920 } } }) ?? Promise.reject(new Error(t('cameraInsecure')));
    asked.then((s) => {
      stream = s;
      if (gone) s.getTracks().forEach((track) => track.stop());
      else if (video.current) video.current.srcObject = s;
    }).catch((error: Error) => setProblem(error.name === 'NotAllowedError' ? t('cameraDenied') : error.name === 'NotFoundError' ? t('cameraNone') : error.name === 'NotReadableError' ? t('cameraTaken') : error.message));
    return () => {
      gone = true;
      stream?.getTracks().forEach((track) => track.stop());
    };
  }, []);
  const shoot = async () => {
    const v = video.current;
    if (!v?.videoWidth) return;
    const canvas = new OffscreenCanvas(v.videoWidth, v.videoHeight);
    canvas.getContext('2d')?.drawImage(v, 0, 0);
    const blob = await canvas.convertToBlob({ type: 'image/jpeg', quality: 0.92 });
    pending.value = [...pending.value, await keep(blob, `photo-${new Date().toISOString().slice(0, 19).replace(/[:T]/g, '-')}.jpg`, 'image', 'image/jpeg')];
    camera.value = false;
  };
  return (
    <Dialog title={t('takePhoto')} onClose={() => { camera.value = false; }}>
      {problem ? <p class="wrong" role="alert">{problem}</p> : <video ref={video} class="camera" autoPlay playsInline muted onLoadedData={() => setReady(true)} />}
      {/* Without https a phone gives a page no stream; its camera app it opens all the same. */}
      {problem ? <label class="field"><span>{t('cameraFile')}</span><input type="file" accept="image/*" capture="environment" onChange={(e) => { void take([...(e.currentTarget.files ?? [])]); camera.value = false; }} /></label>
        : <div class="row"><button type="button" class="main" disabled={!ready} onClick={() => void shoot()}>{t('shoot')}</button></div>}
    </Dialog>
  );
}
