"""Networks built from recurrent layers, and what goes between them: attention, pooling, a Transformer encoder."""

from unroll.models.attention import AdditiveAttention, Attention, DotAttention, GeneralAttention, Memory
from unroll.models.classify import SequenceClassifier
from unroll.models.crf import CRF
from unroll.models.encoder_layer import KeyValueState
from unroll.models.encoder_stream import TransformerStream
from unroll.models.forecast import DirectForecast, ForecastNetwork
from unroll.models.multihead import MultiHeadAttention
from unroll.models.normalise import NORMALISATIONS, LastValue, Normalisation, RevIN, Unchanged, normalisation
from unroll.models.pooling import AttentionPooling, LastPooling, MaxPooling, MeanPooling, Pooling
from unroll.models.positions import sinusoids
from unroll.models.recursive import RecursiveForecast
from unroll.models.registry import ATTENTIONS, POOLINGS, attention, pooling
from unroll.models.seasonal import LastSeason
from unroll.models.segments import SegmentForecast
from unroll.models.tag import FeatureHead, MorphemeHead, SequenceHead, TagHead, WordTagger
from unroll.models.transformer import TransformerEncoder
from unroll.models.words import LetterReader, Spelling, WordBatch, WordEncoder

__all__ = [
    "ATTENTIONS",
    "CRF",
    "NORMALISATIONS",
    "POOLINGS",
    "AdditiveAttention",
    "Attention",
    "AttentionPooling",
    "DirectForecast",
    "DotAttention",
    "FeatureHead",
    "ForecastNetwork",
    "GeneralAttention",
    "KeyValueState",
    "LastPooling",
    "LastSeason",
    "LastValue",
    "LetterReader",
    "MaxPooling",
    "MeanPooling",
    "Memory",
    "MorphemeHead",
    "MultiHeadAttention",
    "Normalisation",
    "Pooling",
    "RecursiveForecast",
    "RevIN",
    "SegmentForecast",
    "SequenceClassifier",
    "SequenceHead",
    "Spelling",
    "TagHead",
    "TransformerEncoder",
    "TransformerStream",
    "Unchanged",
    "WordBatch",
    "WordEncoder",
    "WordTagger",
    "attention",
    "normalisation",
    "pooling",
    "sinusoids",
]
