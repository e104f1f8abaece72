"""Kim's convolutional net with random word vectors on sentences of film reviews (MR).

The protocol of Kim 2014 (https://arxiv.org/abs/1408.5882) and its code: Adadelta, batches of 50, 25
epochs, a tenth of the training part to choose the epoch by, and weights of the last layer no longer
than 3. A test part of a tenth is cut by a fixed rule, so that a run is one fold; `--folds 10` runs
the ten of the paper in turn.

Put the 10,662 sentences of rt-polarity into a file with a line `label<TAB>text` each.

Command: python experiments/mr_text_cnn.py --data.name text:mr/all.tsv --early-stopping.patience 25
Hardware and time: two CPU cores (AMD EPYC, AVX2), 28 s an epoch with little beside it, when padding
  was still multiplied; this run had other jobs beside it and took 58 minutes
Expected: test accuracy 74.4 % (n=1) on 1,066 sentences, with a standard error of 1.3;
  published is 76.1, the mean of ten folds, which have not been run here
"""

from cnn_jax import Data, EarlyStopping, Model, Optimizer, Recipe, Schedule, epochs, main

recipe = Recipe(
    name="mr_text_cnn",
    data=Data("text:data/mr/all.tsv"),
    model=Model("text_cnn"),
    optimizer=Optimizer(
        "adadelta",
        learning_rate=1.0,
        options={"rho": 0.95, "eps": 1e-6},
        max_norm=("^head/kernel$=3",),
    ),
    schedule=Schedule("constant"),
    # The epoch that is chosen comes early; the paper trains on to the 25th all the same.
    early_stopping=EarlyStopping(patience=5),
    batch_size=50,
    duration=epochs(25),
)

if __name__ == "__main__":
    main(recipe)
