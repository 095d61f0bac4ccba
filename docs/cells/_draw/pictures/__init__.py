"""The pictures, one declaration per file."""

from _draw.picture import Picture
from _draw.pictures import gru, indrnn, janet, lstm, lstm_peephole, mgu, overview, qrnn, rnn, sru, unrolled

PICTURES: dict[str, Picture] = {
    picture.name: picture
    for picture in (
        rnn.picture,
        lstm.picture,
        lstm_peephole.picture,
        gru.picture,
        gru.reset_before,
        gru.writes,
        mgu.picture,
        janet.picture,
        indrnn.picture,
        sru.picture,
        qrnn.picture,
        qrnn.ifo,
        unrolled.picture,
        overview.picture,
    )
}
